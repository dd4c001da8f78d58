// Golden vectors: templates as users write them, with the hash that the controller would give them.
package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand"
	"reflect"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	corev1 "k8s.io/api/core/v1"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	saferand "k8s.io/apimachinery/pkg/util/rand"
)

// vector is one line of the vector files. Text, where it is given, is the JSON that Go hashes.
type vector struct {
	Name           string          `json:"name"`
	Input          json.RawMessage `json:"input"`
	CollisionCount *int32          `json:"collisionCount,omitempty"`
	Text           string          `json:"text,omitempty"`
	Hash           string          `json:"hash"`
}

const (
	seed       = 20261122
	generated  = 260
	stepCount  = 80
	maxDepth   = 7
	textSample = 40
)

func writeVectors(out io.Writer) error {
	random := rand.New(rand.NewSource(seed))
	var vectors []vector
	for _, written := range written {
		v, err := podVector(written.name, []byte(written.input), written.collision)
		if err != nil {
			return fmt.Errorf("%s: %w", written.name, err)
		}
		vectors = append(vectors, v)
	}
	for i := range generated {
		input, err := json.Marshal(randomValue(random, reflect.TypeFor[corev1.PodTemplateSpec](), 0))
		if err != nil {
			return err
		}
		var collision *int32
		if i%5 == 0 {
			count := int32(i / 5)
			collision = &count
		}
		v, err := podVector(fmt.Sprintf("generated %d", i), input, collision)
		if err != nil {
			return fmt.Errorf("generated %d: %w", i, err)
		}
		if i >= textSample {
			v.Text = ""
		}
		vectors = append(vectors, v)
	}
	return writeLines(out, vectors)
}

func writeStepVectors(out io.Writer) error {
	random := rand.New(rand.NewSource(seed))
	var vectors []vector
	for _, written := range writtenSteps {
		v, err := stepVector(written.name, []byte(written.input))
		if err != nil {
			return fmt.Errorf("%s: %w", written.name, err)
		}
		vectors = append(vectors, v)
	}
	for i := range stepCount {
		input, err := json.Marshal(randomValue(random, reflect.TypeFor[[]v1alpha1.CanaryStep](), 0))
		if err != nil {
			return err
		}
		v, err := stepVector(fmt.Sprintf("generated %d", i), input)
		if err != nil {
			return fmt.Errorf("generated %d: %w", i, err)
		}
		vectors = append(vectors, v)
	}
	return writeLines(out, vectors)
}

func podVector(name string, input []byte, collision *int32) (vector, error) {
	var template corev1.PodTemplateSpec
	if err := decode(input, &template); err != nil {
		return vector{}, err
	}
	text, err := json.Marshal(&template)
	if err != nil {
		return vector{}, err
	}
	hasher := fnv.New32a()
	_, _ = hasher.Write(text)
	if collision != nil {
		salt := make([]byte, 8)
		binary.LittleEndian.PutUint32(salt, uint32(*collision))
		_, _ = hasher.Write(salt)
	}
	hash := saferand.SafeEncodeString(fmt.Sprint(hasher.Sum32()))
	return vector{Name: name, Input: input, CollisionCount: collision, Text: string(text), Hash: hash}, nil
}

func stepVector(name string, input []byte) (vector, error) {
	var steps []v1alpha1.CanaryStep
	if err := decode(input, &steps); err != nil {
		return vector{}, err
	}
	text, err := json.Marshal(steps)
	if err != nil {
		return vector{}, err
	}
	hasher := fnv.New32a()
	_, _ = hasher.Write(text)
	hash := saferand.SafeEncodeString(fmt.Sprint(hasher.Sum32()))
	return vector{Name: name, Input: input, Text: string(text), Hash: hash}, nil
}

// decode reads input as a client gets it from the API server, which keeps custom resources as untyped JSON: keys sorted,
// numbers in their shortest form.
func decode(input []byte, into any) error {
	var untyped any
	if err := utiljson.Unmarshal(input, &untyped); err != nil {
		return err
	}
	stored, err := json.Marshal(untyped)
	if err != nil {
		return err
	}
	return utiljson.Unmarshal(stored, into)
}

func writeLines(out io.Writer, vectors []vector) error {
	fmt.Fprint(out, "[\n")
	for i, v := range vectors {
		line, err := json.Marshal(v)
		if err != nil {
			return err
		}
		comma := ","
		if i == len(vectors)-1 {
			comma = ""
		}
		fmt.Fprintf(out, "%s%s\n", line, comma)
	}
	fmt.Fprint(out, "]\n")
	return nil
}
