// Makes test/analysis/expr.vectors.json: every condition of the table below, evaluated against every result of its group by
// expr-lang/expr the way Argo Rollouts frames it (environment, optimizer on, no boolean demanded before the run).
// Run from the top of the repository: go -C scripts/go/expr run . > test/analysis/expr.vectors.json
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
)

type vector struct {
	Condition string `json:"condition"`
	// The result as JSON, or NaN, +Inf, -Inf.
	Result string `json:"result"`
	// A typed list of floats instead of a JSON list.
	Floats  bool   `json:"floats,omitempty"`
	Outcome string `json:"outcome"`
	Message string `json:"message,omitempty"`
	// Line and column of an error that has a place.
	At string `json:"at,omitempty"`
}

func main() {
	// A condition must mean the same everywhere: the machine's own zone plays no part.
	time.Local = time.UTC
	var vectors []vector
	seen := map[string]bool{}
	for _, g := range slices.Concat(groups, builtinGroups, timeGroups) {
		for _, condition := range g.conditions {
			for _, result := range g.results {
				if key := condition + "\x00" + result; !seen[key] {
					seen[key] = true
					vectors = append(vectors, evaluate(condition, result))
				}
			}
		}
	}
	fmt.Println("[")
	for i, v := range vectors {
		line, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		comma := ","
		if i == len(vectors)-1 {
			comma = ""
		}
		fmt.Printf("%s%s\n", line, comma)
	}
	fmt.Println("]")
	fmt.Fprintln(os.Stderr, len(vectors), "vectors")
}

func evaluate(condition, result string) vector {
	v := vector{Condition: condition, Result: result}
	var value any
	switch result {
	case "NaN":
		value = math.NaN()
	case "+Inf":
		value = math.Inf(1)
	case "-Inf":
		value = math.Inf(-1)
	default:
		text := result
		if text[0] == 'F' {
			v.Floats = true
			v.Result = text[1:]
			var floats []float64
			if err := json.Unmarshal([]byte(v.Result), &floats); err != nil {
				panic(err)
			}
			value = floats
		} else if err := json.Unmarshal([]byte(text), &value); err != nil {
			panic(result + ": " + err.Error())
		}
	}
	out, err := run(condition, value)
	switch {
	case err != nil:
		v.Outcome, v.Message = "error", err.Error()
		if e, ok := err.(*file.Error); ok {
			v.Message, v.At = e.Message, fmt.Sprintf("%d:%d", e.Line, e.Column+1)
		}
	default:
		v.Outcome = strconv.FormatBool(out)
	}
	return v
}

func run(condition string, result any) (bool, error) {
	isNil := result == nil
	if !isNil && reflect.TypeOf(result).Kind() == reflect.Slice {
		isNil = reflect.ValueOf(result).IsNil()
	}
	env := map[string]any{
		"result":  result,
		"asInt":   asInt,
		"asFloat": asFloat,
		"isNaN":   math.IsNaN,
		"isInf":   func(f float64) bool { return math.IsInf(f, 0) },
		"isNil":   func(any) bool { return isNil },
		"default": func(_ any, otherwise any) any {
			if isNil {
				return otherwise
			}
			return result
		},
	}
	program, err := expr.Compile(condition, expr.Env(env))
	if err != nil {
		return false, err
	}
	out, err := expr.Run(program, env)
	if err != nil {
		return false, err
	}
	if b, ok := out.(bool); ok {
		return b, nil
	}
	return false, fmt.Errorf("expected bool, but got %T", out)
}

func asInt(in any) int64 {
	switch i := in.(type) {
	case float64:
		return int64(i)
	case int:
		return int64(i)
	case int64:
		return i
	case string:
		n, err := strconv.ParseInt(i, 10, 64)
		if err == nil {
			return n
		}
		panic(err)
	}
	panic(fmt.Sprintf("asInt() not supported on %v %v", reflect.TypeOf(in), in))
}

func asFloat(in any) float64 {
	switch i := in.(type) {
	case float64:
		return i
	case int:
		return float64(i)
	case int64:
		return float64(i)
	case string:
		f, err := strconv.ParseFloat(i, 64)
		if err == nil {
			return f
		}
		panic(err)
	}
	panic(fmt.Sprintf("asFloat() not supported on %v %v", reflect.TypeOf(in), in))
}
