// Steps whose Experiment would be InvalidSpec, so that the update would stand at the step for ever. Argo holds nothing of it against the Rollout
// and finds it when the step has come; the Experiment's own rules are in engine/experiment/spec.ts.
import { parseDuration } from "../lib/duration.ts";
import type { Issue } from "./check.ts";
import type { Path } from "./decode.ts";
import { maxTrafficWeightOf } from "./defaults.ts";
import { duplicate, type FieldError, invalid, printed, quoted, required } from "./fielderror.ts";
import type { Rollout } from "./rolloutschema.ts";
import { selectorMatches } from "./selector.ts";
import type { LabelSelector } from "./shapes.ts";
import type { CanaryStep } from "./strategyschema.ts";

type ExperimentStep = NonNullable<CanaryStep["experiment"]>;
type Template = ExperimentStep["templates"][number];

const STEPS: Path = ["spec", "strategy", "canary", "steps"];

/** What is wrong about the experiment steps, in order. */
export function experimentStepErrors(rollout: Rollout): readonly FieldError[] {
  return (rollout.spec.strategy?.canary?.steps ?? []).flatMap(({ experiment }, index) => {
    if (experiment === undefined) return [];
    const path = [...STEPS, index, "experiment"];
    return [
      ...nameErrors(experiment.templates, [...path, "templates"]),
      ...experiment.templates.flatMap((template, at) =>
        selectorErrors(rollout, template, [...path, "templates", at]),
      ),
      ...durationErrors(experiment, [...path, "duration"]),
    ];
  });
}

/** Templates of experiment steps that will get less of the traffic than their weight says, though the Rollout runs as it is written. */
export function experimentShareNotes(rollout: Rollout): readonly Issue[] {
  const { steps = [], trafficRouting } = rollout.spec.strategy?.canary ?? {};
  if (trafficRouting === undefined) return [];
  const max = maxTrafficWeightOf(rollout);
  let canary = 0;
  return steps.flatMap(({ experiment, setWeight = canary }, index) => {
    canary = setWeight;
    let left = Math.max(0, max - canary);
    return (experiment?.templates ?? []).flatMap(({ weight = 0 }, at): readonly Issue[] => {
      const share = Math.min(Math.max(0, weight), left);
      left -= share;
      if (share >= weight) return [];
      const path = [...STEPS, index, "experiment", "templates", at, "weight"];
      const message = `the template gets ${share} of its weight ${weight}: no more of ${max} is left beside the canary's ${canary}`;
      return [{ path, message, mend: "lower the weights of this step", isNote: true }];
    });
  });
}

function nameErrors(templates: readonly Template[], path: Path): readonly FieldError[] {
  const seen = new Set<string>();
  return templates.flatMap(({ name }, index) => {
    const at = [...path, index, "name"];
    if (name === "") return [required(at)];
    if (seen.has(name)) return [duplicate(at, name)];
    seen.add(name);
    return [];
  });
}

/** A selector of the template's own, with the labels that it gives its pods, must select them and not everything. */
function selectorErrors(rollout: Rollout, template: Template, path: Path): readonly FieldError[] {
  const { selector, metadata, specRef } = template;
  if (selector === undefined) return [];
  const whole: LabelSelector = {
    ...selector,
    matchLabels: { ...selector.matchLabels, ...metadata?.labels },
  };
  const at = [...path, "selector"];
  const shown = printed("LabelSelector", selector);
  const { matchLabels = {}, matchExpressions = [] } = whole;
  if (Object.keys(matchLabels).length === 0 && matchExpressions.length === 0)
    return [invalid(at, shown, "it selects all pods; a non-empty selector is required")];
  const own = rollout.spec.template?.metadata?.labels;
  // The stable version's labels, and those of a workload, are not in the spec.
  if (specRef !== "canary" || own === undefined) return [];
  if (selectorMatches(whole, { ...own, ...metadata?.labels })) return [];
  return [invalid(at, shown, "`selector` does not match the labels of the template's pods")];
}

function durationErrors({ duration = "" }: ExperimentStep, path: Path): readonly FieldError[] {
  if (duration === "" || parseDuration(duration) !== undefined) return [];
  return [invalid(path, quoted(duration), "must be a duration such as 30s, 5m or 1h")];
}
