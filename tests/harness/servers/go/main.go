// A stdio MCP server in Go, on the standard library only: one tool.
package main

import (
	"bufio"
	"encoding/json"
	"os"
)

type request struct {
	ID     *json.RawMessage `json:"id"`
	Method string           `json:"method"`
	Params struct {
		ProtocolVersion string `json:"protocolVersion"`
		Arguments       struct {
			Text string `json:"text"`
		} `json:"arguments"`
	} `json:"params"`
}

type object map[string]any

func answer(asked request) any {
	switch asked.Method {
	case "initialize":
		return object{"protocolVersion": asked.Params.ProtocolVersion, "capabilities": object{"tools": object{}},
			"serverInfo": object{"name": "notes-go", "version": "1.0.0"}}
	case "tools/list":
		return object{"tools": []object{{"name": "echo", "inputSchema": object{"type": "object"}}}}
	case "tools/call":
		return object{"content": []object{{"type": "text", "text": asked.Params.Arguments.Text}}}
	}
	return object{}
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for in.Scan() {
		var asked request
		if json.Unmarshal(in.Bytes(), &asked) == nil && asked.ID != nil {
			out.Encode(object{"jsonrpc": "2.0", "id": asked.ID, "result": answer(asked)})
		}
	}
}
