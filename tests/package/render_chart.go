// Renders a Helm chart's templates as Helm does, with the functions that ours use.
//
//	render_chart CHART <{"Values": …, "Release": …, "Chart": …}     the documents of all templates, "---" before each file's
package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"
)

func toJSON(value any) (string, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return strings.TrimSuffix(text.String(), "\n"), err
}

// One member to a line, and JSON, which YAML is too, in each.
func toYAML(value any) (string, error) {
	var lines []string
	add := func(before string, item any) error {
		text, err := toJSON(item)
		lines = append(lines, before+text)
		return err
	}
	switch whole := value.(type) {
	case map[string]any:
		for key, item := range whole {
			if err := add(fmt.Sprintf("%q: ", key), item); err != nil {
				return "", err
			}
		}
		sort.Strings(lines)
	case []any:
		for _, item := range whole {
			if err := add("- ", item); err != nil {
				return "", err
			}
		}
	default:
		return toJSON(value)
	}
	return strings.Join(lines, "\n"), nil
}

func isEmpty(value any) bool {
	truth, ok := template.IsTrue(value)
	return !ok || !truth
}

func main() {
	root := template.New("").Option("missingkey=error")
	root.Funcs(template.FuncMap{
		"toJson": toJSON,
		"toYaml": toYAML,
		"quote":  func(value any) string { return fmt.Sprintf("%q", fmt.Sprint(value)) },
		"nindent": func(columns int, text string) string {
			space := "\n" + strings.Repeat(" ", columns)
			return space + strings.ReplaceAll(text, "\n", space)
		},
		"trunc": func(bytes int, text string) string {
			if len(text) > bytes {
				text = text[:bytes]
			}
			return text
		},
		"trimSuffix": func(suffix, text string) string { return strings.TrimSuffix(text, suffix) },
		"sha256sum":  func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) },
		"default": func(otherwise, value any) any {
			if isEmpty(value) {
				return otherwise
			}
			return value
		},
		"include": func(name string, data any) (string, error) {
			var text bytes.Buffer
			err := root.ExecuteTemplate(&text, name, data)
			return text.String(), err
		},
	})
	template.Must(root.ParseGlob(filepath.Join(os.Args[1], "templates", "*")))
	var data map[string]any
	decoder := json.NewDecoder(os.Stdin)
	decoder.UseNumber()
	if err := decoder.Decode(&data); err != nil {
		log.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(os.Args[1], "templates", "*.yaml"))
	if err != nil || len(files) == 0 {
		log.Fatal("no templates: ", err)
	}
	for _, file := range files {
		fmt.Println("---")
		if err := root.ExecuteTemplate(os.Stdout, filepath.Base(file), data); err != nil {
			log.Fatal(err)
		}
	}
}
