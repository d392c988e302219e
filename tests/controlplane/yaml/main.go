// Command yaml reads texts as kubectl does: split by apimachinery's reader, each document by sigs.k8s.io/yaml.
//
// Each line of its input is a text as a JSON string. Each line of its output is a list with one entry for each document:
// its JSON, or {"error": ...}.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

type document struct {
	JSON  string `json:"json,omitempty"`
	Error string `json:"error,omitempty"`
}

func read(text string) []document {
	found := []document{}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewBufferString(text)))
	for {
		part, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			return append(found, document{Error: err.Error()})
		}
		made, err := yaml.YAMLToJSON(part)
		if err != nil {
			found = append(found, document{Error: err.Error()})
		} else if string(made) != "null" {
			found = append(found, document{JSON: string(made)})
		}
	}
}

func main() {
	lines := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var text string
			if json.Unmarshal(line, &text) != nil {
				os.Exit(2)
			}
			if out.Encode(read(text)) != nil {
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}
