// Why an Experiment cannot be run as it is written. Source: Argo: utils/conditions VerifyExperimentSpec, v1.9.
import { EXPERIMENT_MESSAGES, type Experiment, experimentDeadlineSecondsOf } from "../../api/api.ts";
import { parseDuration } from "../../lib/duration.ts";

/** The first reason; undefined for an Experiment that can be run. */
export function experimentProblem(experiment: Experiment): string | undefined {
  const { name } = experiment.metadata;
  const { duration, templates } = experiment.spec;
  const names = new Set<string>();
  for (const [index, template] of templates.entries()) {
    // A tolerant read fills in what is missing: a selector that is not written and one that selects everything look alike.
    const { matchLabels = {}, matchExpressions = [] } = template.selector;
    if (Object.keys(matchLabels).length === 0 && matchExpressions.length === 0)
      return EXPERIMENT_MESSAGES.selectsAll(index);
    if ((template.minReadySeconds ?? 0) > experimentDeadlineSecondsOf(experiment))
      return EXPERIMENT_MESSAGES.minReadyLongerThanDeadline(index);
    if (template.name === "") return EXPERIMENT_MESSAGES.emptyTemplateName(name, index);
    if (names.has(template.name)) return EXPERIMENT_MESSAGES.repeatedTemplateName(name, template.name);
    names.add(template.name);
  }
  const isReadable = duration === undefined || duration === "" || parseDuration(duration) !== undefined;
  return isReadable ? undefined : EXPERIMENT_MESSAGES.unreadableDuration(duration);
}
