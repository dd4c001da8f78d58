// Command replicas asks Argo Rollouts itself how many pods the versions of a canary should have, over many varied inputs, and writes
// the answers as golden vectors:
//
//	go run . > test/compat/replicas.vectors.json
//
// "target": no pods yet, so the answer is the split aimed at. "basic": sizes to ask for now, without a router. "routed": with one.
package main

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"os"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/utils/replicaset"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	seed        = 20260101
	basicCases  = 1200
	routedCases = 200
)

type counts struct {
	Spec      int32 `json:"spec"`
	Available int32 `json:"available"`
}

type sizes struct {
	Canary int32 `json:"canary"`
	Stable int32 `json:"stable"`
}

// vector is one question and Argo's answer.
type vector struct {
	Kind           string              `json:"kind"`
	Replicas       int32               `json:"replicas"`
	Weight         int32               `json:"weight"`
	MaxSurge       *intstr.IntOrString `json:"maxSurge,omitempty"`
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`
	MaxWeight      *int32              `json:"maxTrafficWeight,omitempty"`
	MinPods        *int32              `json:"minPodsPerReplicaSet,omitempty"`
	Canary         *counts             `json:"canary,omitempty"`
	Stable         *counts             `json:"stable,omitempty"`
	// Stable and canary are one ReplicaSet: nothing is in flight.
	IsPromoted bool    `json:"isPromoted,omitempty"`
	Others     []int32 `json:"others,omitempty"`
	Want       sizes   `json:"want"`
}

func main() {
	random := rand.New(rand.NewSource(seed))
	vectors := targets()
	for i := 0; i < basicCases; i++ {
		vectors = append(vectors, basic(random))
	}
	for i := 0; i < routedCases; i++ {
		vectors = append(vectors, routed(random))
	}
	fmt.Println("[")
	for i, one := range vectors {
		answer(&one)
		line, err := json.Marshal(one)
		if err != nil {
			fmt.Fprintln(os.Stderr, "replicas:", err)
			os.Exit(1)
		}
		comma := ","
		if i == len(vectors)-1 {
			comma = ""
		}
		fmt.Printf("%s%s\n", line, comma)
	}
	fmt.Println("]")
}

// targets covers small numbers of pods closely.
func targets() []vector {
	var found []vector
	for _, replicas := range []int32{0, 1, 2, 3, 4, 5, 7, 10, 13, 50} {
		for _, weight := range []int32{0, 1, 5, 10, 20, 25, 33, 45, 50, 55, 67, 75, 90, 95, 99, 100} {
			for _, surge := range []int{0, 1, 3} {
				found = append(found, vector{
					Kind: "target", Replicas: replicas, Weight: weight,
					MaxSurge: number(surge), MaxUnavailable: number(1),
					Canary: &counts{}, Stable: &counts{},
				})
			}
		}
	}
	return found
}

func basic(random *rand.Rand) vector {
	one := vector{Kind: "basic", Replicas: replicasOf(random), Weight: weightOf(random, 100)}
	one.MaxSurge, one.MaxUnavailable = limit(random), limit(random)
	if random.Intn(20) > 0 {
		one.Canary = countsOf(random, one.Replicas)
	}
	switch kind := random.Intn(20); {
	case kind == 0 && one.Canary != nil:
		one.IsPromoted = true
	case kind > 1:
		one.Stable = countsOf(random, one.Replicas)
	}
	if random.Intn(4) == 0 {
		one.Others = []int32{int32(random.Intn(4)), int32(random.Intn(2))}
	}
	return one
}

func routed(random *rand.Rand) vector {
	one := vector{Kind: "routed", Replicas: replicasOf(random)}
	most := int32(100)
	if random.Intn(2) == 0 {
		most = []int32{1, 10, 1000, 100_000}[random.Intn(4)]
		one.MaxWeight = &most
	}
	one.Weight = weightOf(random, most)
	if random.Intn(2) == 0 {
		least := int32(random.Intn(5) + 1)
		one.MinPods = &least
	}
	one.Canary, one.Stable = countsOf(random, one.Replicas), countsOf(random, one.Replicas)
	return one
}

func replicasOf(random *rand.Rand) int32 {
	if random.Intn(10) == 0 {
		return int32(random.Intn(100))
	}
	return int32(random.Intn(12))
}

func weightOf(random *rand.Rand, most int32) int32 {
	switch random.Intn(6) {
	case 0:
		return 0
	case 1:
		return most
	case 2:
		return most / 2
	}
	return random.Int31n(most + 1)
}

// countsOf is a ReplicaSet on its way: pods may be missing, or not gone yet.
func countsOf(random *rand.Rand, replicas int32) *counts {
	spec := random.Int31n(replicas + 3)
	available := spec
	switch random.Intn(4) {
	case 0:
		available = random.Int31n(spec + 1)
	case 1:
		available = random.Int31n(replicas + 3)
	}
	return &counts{Spec: spec, Available: available}
}

// limit is a maxSurge or maxUnavailable; nil is Argo's default.
func limit(random *rand.Rand) *intstr.IntOrString {
	switch random.Intn(5) {
	case 0:
		return nil
	case 1:
		share := intstr.FromString(fmt.Sprintf("%d%%", random.Intn(21)*5))
		return &share
	}
	return number(random.Intn(5))
}

func number(n int) *intstr.IntOrString {
	value := intstr.FromInt32(int32(n))
	return &value
}

func answer(one *vector) {
	rollout := rolloutOf(one)
	canary := replicaSetOf("canary", one.Canary)
	stable := replicaSetOf("stable", one.Stable)
	if one.IsPromoted {
		stable = canary
		rollout.Status.CurrentPodHash = rollout.Status.StableRS
	}
	if one.Kind == "routed" {
		one.Want.Canary, one.Want.Stable = replicaset.CalculateReplicaCountsForTrafficRoutedCanary(rollout, canary, stable, nil)
		return
	}
	others := []*appsv1.ReplicaSet{}
	for i, spec := range one.Others {
		others = append(others, replicaSetOf(fmt.Sprintf("old-%d", i), &counts{Spec: spec, Available: spec}))
	}
	one.Want.Canary, one.Want.Stable = replicaset.CalculateReplicaCountsForBasicCanary(rollout, canary, stable, others)
}

// rolloutOf stands at a setWeight step of the wanted weight.
func rolloutOf(one *vector) *v1alpha1.Rollout {
	index := int32(0)
	rollout := &v1alpha1.Rollout{}
	rollout.Spec.Replicas = &one.Replicas
	canary := &v1alpha1.CanaryStrategy{MaxSurge: one.MaxSurge, MaxUnavailable: one.MaxUnavailable}
	canary.Steps = []v1alpha1.CanaryStep{{SetWeight: &one.Weight}}
	canary.MinPodsPerReplicaSet = one.MinPods
	if one.Kind == "routed" {
		canary.TrafficRouting = &v1alpha1.RolloutTrafficRouting{MaxTrafficWeight: one.MaxWeight}
		canary.TrafficRouting.Plugins = map[string]json.RawMessage{"weir.dev/proxy": json.RawMessage("{}")}
	}
	rollout.Spec.Strategy.Canary = canary
	rollout.Status = v1alpha1.RolloutStatus{StableRS: "stable", CurrentPodHash: "canary", CurrentStepIndex: &index}
	return rollout
}

func replicaSetOf(name string, have *counts) *appsv1.ReplicaSet {
	if have == nil {
		return nil
	}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.ReplicaSetSpec{Replicas: &have.Spec},
		Status:     appsv1.ReplicaSetStatus{Replicas: have.Spec, AvailableReplicas: have.Available},
	}
}
