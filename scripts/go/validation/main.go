// Command validation asks Argo Rollouts itself what is wrong with Rollouts and metrics, and writes the answers as golden vectors:
//
//	go run . < test/compat/validation.cases.json > test/compat/validation.vectors.json
//
// A case is {"name", "rollout"}, {"name", "metrics"} or {"name", "template"} (a pod template, in a Rollout that selects app=web); the answer
// adds "errors", the texts in Argo's order. An earlier answer is a case too.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/v1alpha1"
	"github.com/argoproj/argo-rollouts/pkg/apis/rollouts/validation"
	"github.com/argoproj/argo-rollouts/utils/analysis"
)

type testCase struct {
	Name    string          `json:"name"`
	Rollout json.RawMessage `json:"rollout,omitempty"`
	Metrics json.RawMessage `json:"metrics,omitempty"`
	// Rules that Argo takes over from Kubernetes.
	Template json.RawMessage `json:"template,omitempty"`
	Errors   []string        `json:"errors"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "validation:", err)
		os.Exit(1)
	}
}

func run() error {
	var cases []testCase
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		return err
	}
	fmt.Println("[")
	for i := range cases {
		if err := answer(&cases[i]); err != nil {
			return fmt.Errorf("%s: %w", cases[i].Name, err)
		}
		line, err := json.Marshal(cases[i])
		if err != nil {
			return err
		}
		comma := ","
		if i == len(cases)-1 {
			comma = ""
		}
		fmt.Printf("%s%s\n", line, comma)
	}
	fmt.Println("]")
	return nil
}

func answer(c *testCase) error {
	c.Errors = []string{}
	if c.Metrics != nil {
		var metrics []v1alpha1.Metric
		if err := json.Unmarshal(c.Metrics, &metrics); err != nil {
			return err
		}
		if err := analysis.ValidateMetrics(metrics); err != nil {
			c.Errors = append(c.Errors, err.Error())
		}
		return nil
	}
	var rollout v1alpha1.Rollout
	if c.Template != nil {
		rollout = plainRollout()
		if err := json.Unmarshal(c.Template, &rollout.Spec.Template); err != nil {
			return err
		}
	} else if err := json.Unmarshal(c.Rollout, &rollout); err != nil {
		return err
	}
	for _, err := range validation.ValidateRollout(&rollout) {
		c.Errors = append(c.Errors, err.Error())
	}
	return nil
}

// plainRollout is valid but for its template, which is empty.
func plainRollout() v1alpha1.Rollout {
	var rollout v1alpha1.Rollout
	rollout.Name = "web"
	rollout.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	rollout.Spec.Strategy.Canary = &v1alpha1.CanaryStrategy{}
	return rollout
}
