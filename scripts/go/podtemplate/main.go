// Command podtemplate writes what weir needs in order to hash pod templates and canary steps as Go programs do:
//
//	go run . table            the struct table, as TypeScript, to src/api/gen/gostructs.ts
//	go run . vectors          golden vectors of pod-template hashes, to test/compat/podhash.vectors.json
//	go run . stepvectors      golden vectors of step hashes, to test/compat/stephash.vectors.json
//
// The table lists the fields of every struct that a PodTemplateSpec (k8s.io/api) or a CanaryStep (argo-rollouts) can reach, in
// the order in which encoding/json writes them, with their omitempty and omitzero marks. Output goes to standard output.
package main

import (
	"fmt"
	"os"
)

func main() {
	mode := ""
	if len(os.Args) == 2 {
		mode = os.Args[1]
	}
	var err error
	switch mode {
	case "table":
		err = writeTable(os.Stdout)
	case "vectors":
		err = writeVectors(os.Stdout)
	case "stepvectors":
		err = writeStepVectors(os.Stdout)
	default:
		err = fmt.Errorf("usage: podtemplate table|vectors|stepvectors")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "podtemplate:", err)
		os.Exit(1)
	}
}
