// What Go's encoding/json reads in frames that go on, compared with what was judged: differential FILE, one JSON object a line.
//
// Into structs, as Go servers do: their keys match in any case, the last of several wins, and invalid UTF-8 is replaced.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"reflect"
)

const lineBytesMax = 64 << 20 // the longest frame

type judgement struct {
	Frame, ID, Method, Name, URI, Arguments string
}

type message struct {
	ID     json.RawMessage `json:"id"`
	Method any             `json:"method"`
	Params json.RawMessage `json:"params"`
}

type params struct {
	Name      any             `json:"name"`
	URI       any             `json:"uri"`
	Arguments json.RawMessage `json:"arguments"`
}

// Numbers stay as they are written.
func value(text []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var read any
	err := decoder.Decode(&read)
	return read, err
}

// Whether both are missing, or the same value.
func same(judged string, read json.RawMessage) bool {
	if judged == "" || read == nil {
		return judged == "" && read == nil
	}
	a, errA := value([]byte(judged))
	b, errB := value(read)
	return errA == nil && errB == nil && reflect.DeepEqual(a, b)
}

func textOrNone(read any) string {
	text, _ := read.(string)
	return text
}

// "" where Go reads what was judged, or refuses the frame.
func difference(judged judgement) string {
	var read message
	if json.Unmarshal([]byte(judged.Frame), &read) != nil {
		return ""
	}
	var inside params
	if read.Params != nil && json.Unmarshal(read.Params, &inside) != nil {
		inside = params{} // an array: nothing has a name in it
	}
	switch {
	case textOrNone(read.Method) != judged.Method:
		return "method"
	case !same(judged.ID, read.ID):
		return "id"
	case textOrNone(inside.Name) != judged.Name:
		return "name"
	case textOrNone(inside.URI) != judged.URI:
		return "uri"
	case !same(judged.Arguments, inside.Arguments):
		return "arguments"
	}
	return ""
}

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	lines, wrong := 0, 0
	reader := bufio.NewScanner(file)
	reader.Buffer(nil, lineBytesMax)
	for reader.Scan() {
		lines++
		var judged judgement
		if err := json.Unmarshal(reader.Bytes(), &judged); err != nil {
			fmt.Println("line", lines, err)
			os.Exit(2)
		}
		if what := difference(judged); what != "" {
			wrong++
			fmt.Printf("go reads otherwise (%s): %s\n", what, reader.Text())
		}
	}
	if err := reader.Err(); err != nil {
		fmt.Println(err)
		os.Exit(2)
	}
	fmt.Println(lines, "frames read by go")
	if wrong > 0 {
		os.Exit(1)
	}
}
