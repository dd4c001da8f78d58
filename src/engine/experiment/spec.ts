// Why an Experiment cannot be run as it is written. Source: Argo: utils/conditions VerifyExperimentSpec, v1.9, which stops at the first reason;
// what is said in the words of a field error is weir's own.
import {
  EXPERIMENT_MESSAGES,
  type Experiment,
  type ExperimentTemplate,
  experimentDeadlineSecondsOf,
  fieldErrorText,
  invalid,
  type Path,
} from "../../api/api.ts";
import { parseDuration } from "../../lib/duration.ts";

/** One reason. */
export interface ExperimentProblem {
  readonly path: Path;
  /** As the condition says it, which has no place for the path. */
  readonly message: string;
  /** The same for those who name the path themselves. */
  readonly detail: string;
}

/** All reasons, in order; none for an Experiment that can be run. The first is the condition's. */
export function experimentProblems(experiment: Experiment): readonly ExperimentProblem[] {
  const { duration = "", templates } = experiment.spec;
  const names = new Set<string>();
  const problems = templates.flatMap((template, index) => {
    const found = templateProblems(experiment, template, index, names.has(template.name));
    names.add(template.name);
    return found;
  });
  // Argo lets such an Experiment run without end.
  if (duration === "" || parseDuration(duration) !== undefined) return problems;
  return [...problems, wrong(["spec", "duration"], duration, "must be a duration such as 30s, 5m or 1h")];
}

function templateProblems(
  experiment: Experiment,
  template: ExperimentTemplate,
  index: number,
  isRepeated: boolean,
): readonly ExperimentProblem[] {
  const at: Path = ["spec", "templates", index];
  const problems: ExperimentProblem[] = [];
  // A tolerant read fills in what is missing: a selector that is not written and one that selects everything look alike.
  const { matchLabels = {}, matchExpressions = [] } = template.selector;
  if (Object.keys(matchLabels).length === 0 && matchExpressions.length === 0)
    problems.push(told([...at, "selector"], EXPERIMENT_MESSAGES.selectsAll(index)));
  if ((template.minReadySeconds ?? 0) > experimentDeadlineSecondsOf(experiment))
    problems.push(told([...at, "minReadySeconds"], EXPERIMENT_MESSAGES.minReadyLongerThanDeadline(index)));
  for (const field of ["replicas", "minReadySeconds"] as const) {
    const value = template[field] ?? 0;
    // No API takes such a ReplicaSet: Argo tries until the deadline.
    if (value < 0) problems.push(wrong([...at, field], value, "must be greater than or equal to 0"));
  }
  const { name } = experiment.metadata;
  if (template.name === "")
    problems.push(told([...at, "name"], EXPERIMENT_MESSAGES.emptyTemplateName(name, index)));
  else if (isRepeated)
    problems.push(told([...at, "name"], EXPERIMENT_MESSAGES.repeatedTemplateName(name, template.name)));
  return problems;
}

/** Argo's sentence. */
function told(path: Path, message: string): ExperimentProblem {
  return { path, message, detail: message };
}

function wrong(path: Path, value: string | number, words: string): ExperimentProblem {
  const error = invalid(path, JSON.stringify(value), words);
  return { path, message: fieldErrorText(error), detail: fieldErrorText({ ...error, field: "" }) };
}
