// Prints the table of src/embedded/server/prototable.ts: how Go clients write the built-in kinds of the embedded server as protobuf, read
// from the struct tags of Kubernetes' own types. In test/testbed: go run ./protobuf
package main

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	autoscaling "k8s.io/api/autoscaling/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var roots = []any{apps.ReplicaSet{}, authentication.SelfSubjectReview{}, authorization.SelfSubjectAccessReview{}, authorization.SelfSubjectRulesReview{},
	autoscaling.Scale{}, coordination.Lease{}, core.Binding{}, core.ConfigMap{}, core.Event{}, core.Namespace{}, core.Node{},
	core.Pod{}, core.Secret{}, core.Service{}, discovery.EndpointSlice{}, meta.DeleteOptions{}, policy.Eviction{}}

var special = map[reflect.Type]string{
	reflect.TypeOf(meta.Time{}): "time", reflect.TypeOf(meta.MicroTime{}): "microtime", reflect.TypeOf(resource.Quantity{}): "quantity",
	reflect.TypeOf(intstr.IntOrString{}): "intorstring", reflect.TypeOf(meta.FieldsV1{}): "json", reflect.TypeOf(runtime.RawExtension{}): "json",
}

var lines = map[string]string{}
var seen = map[string]reflect.Type{}

func main() {
	for _, root := range roots {
		message(reflect.TypeOf(root))
	}
	names := []string{}
	for name := range lines {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(lines[name])
	}
}

func message(t reflect.Type) string {
	if before, ok := seen[t.Name()]; ok {
		if before != t {
			panic("two messages of one name: " + t.String() + ", " + before.String())
		}
		return t.Name()
	}
	seen[t.Name()] = t
	line := t.Name()
	for i := 0; i < t.NumField(); i++ {
		if f := field(t.Field(i)); f != "" {
			line += ", " + f
		}
	}
	lines[t.Name()] = line
	return t.Name()
}

// A field as `number name type`. The name of an inlined struct is a dot; a question mark behind the name: a zero is no value.
func field(f reflect.StructField) string {
	wire := strings.Split(f.Tag.Get("protobuf"), ",")
	// What is not written; and who a user is in more words, which is for servers to say.
	if len(wire) < 2 || f.Name == "Extra" {
		return ""
	}
	tag := f.Tag.Get("json")
	name := strings.Split(tag, ",")[0]
	if strings.Contains(tag, "inline") {
		name = "."
	} else if f.Type.Kind() == reflect.Struct || f.Type.Kind() != reflect.Pointer && strings.Contains(tag, "omitempty") {
		name += "?"
	}
	return wire[1] + " " + name + " " + typeOf(f.Type)
}

func typeOf(t reflect.Type) string {
	if name, ok := special[t]; ok {
		return name
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeOf(t.Elem())
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return "bytes"
		}
		return "[]" + typeOf(t.Elem())
	case reflect.Map:
		return "{}" + typeOf(t.Elem())
	case reflect.Struct:
		return message(t)
	case reflect.Int32, reflect.Int64:
		return "int"
	case reflect.String, reflect.Bool:
		return t.Kind().String()
	}
	panic("a type without rule: " + t.String())
}
