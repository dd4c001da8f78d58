// Random JSON for a Go type, as odd as manifests get: zero values, nulls, empty lists, quantities in every spelling, unknown fields.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"
)

var texts = []string{
	"", "a", "web", "nginx:1.27", "IfNotPresent", "/var/lib/data", "a<b>&c", "naïve ☃ 𝒳", "tab\there", "line\nfeed", "quote\"s\\",
	"\u2028\u2029", "\u0000\u0001\u001f\u007f", "\b\f\r", "{{args.x}}", "'single'", "100%", "0", "true", "null", "\ufffd", "é",
}

var keys = []string{"app", "b", "a", "app.kubernetes.io/name", "Z", "é", "ￗ", "𝒳", "x<y", "cpu", "memory", "10", "9", "_"}

var quantities = []any{
	"1", "100m", "0.001", "1024Mi", "1Gi", "1.5Gi", "0.5", "500m", "1000m", "2e3", "1E3", "1e-3", "12E", "0", "0m", "0Ki", "00", "+5",
	"-1", "-250m", "1.500", "1.50", "3000Ki", "1025Ki", "1536Mi", "123456789012345678901234567890", "0.0000000001", "1n", "999u", "0.1n",
	"100k", "1000k", "100000", "1000000", "1.", "9223372036854775807", "9223372036854775808", "8Ei", "16Ei", "0.3Ki", "0.0005Ki",
	"05Ki", "1.25", "12345.678k", "1e21", "5e", "1000E", 0.001, 1, 0, 2.5, 1e3, -3, 1000000, 0.1,
}

var times = []string{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05+02:00", "2026-01-02T03:04:05.987654Z", "0001-01-01T00:00:00Z", "1999-12-31T23:59:59-11:30"}

// randomValue gives nil for "leave it out" only at fields; elsewhere a value that decodes into typ.
func randomValue(random *rand.Rand, typ reflect.Type, depth int) any {
	switch scalars[typ] {
	case "q":
		for {
			// A few spellings above do not parse ("5e"); Go would refuse the whole template.
			if value := quantities[random.Intn(len(quantities))]; parses(value) {
				return value
			}
		}
	case "t":
		return times[random.Intn(len(times))]
	case "x":
		if random.Intn(2) == 0 {
			return random.Intn(70000)
		}
		return texts[random.Intn(len(texts))]
	case "r":
		return map[string]any{"z": 1, "a": []any{"x<y", nil, 1.5}, "m": map[string]any{}}
	}
	switch typ.Kind() {
	case reflect.String:
		return texts[random.Intn(len(texts))]
	case reflect.Bool:
		return random.Intn(2) == 0
	case reflect.Int, reflect.Int32, reflect.Int64:
		return []int{0, 1, -1, 30, 8080, 2147483647}[random.Intn(6)]
	case reflect.Pointer:
		return randomValue(random, typ.Elem(), depth)
	case reflect.Slice:
		list := []any{}
		for range random.Intn(3) {
			list = append(list, randomValue(random, typ.Elem(), depth+1))
		}
		return list
	case reflect.Map:
		object := map[string]any{}
		for range random.Intn(4) {
			object[keys[random.Intn(len(keys))]] = randomValue(random, typ.Elem(), depth+1)
		}
		return object
	case reflect.Struct:
		return randomObject(random, typ, depth)
	}
	panic(fmt.Sprintf("no random value for %s", typ))
}

func randomObject(random *rand.Rand, typ reflect.Type, depth int) map[string]any {
	object := map[string]any{}
	if random.Intn(12) == 0 {
		object["fieldThatGoDoesNotKnow"] = map[string]any{"a": 1}
	}
	fields, err := fieldsOf(typ)
	if err != nil {
		panic(err)
	}
	// Fewer fields the deeper it gets, and at the top at least metadata and spec.
	chance := 1 + len(fields)/9 + depth/2
	for _, f := range fields {
		if depth > maxDepth || (depth > 0 && random.Intn(chance) != 0) {
			continue
		}
		if random.Intn(25) == 0 {
			object[f.name] = nil
			continue
		}
		object[f.name] = randomValue(random, f.typ, depth+1)
	}
	return object
}

// parses tells whether Go takes the value for a quantity.
func parses(value any) bool {
	text, err := json.Marshal(value)
	if err != nil {
		return false
	}
	var quantity resource.Quantity
	return json.Unmarshal(text, &quantity) == nil
}
