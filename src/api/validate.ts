// Argo's rules for a Rollout's spec, with its paths, its words and its order. Source: Argo pkg/apis/rollouts/validation, v1.9.
// What weir does not carry out yet is another matter (notyet.ts); referenced objects are checked where they are at hand.

import type { Path } from "./decode.ts";
import { progressDeadlineSecondsOf, replicasOf, revisionHistoryLimitOf } from "./defaults.ts";
import {
  type FieldError,
  fieldErrorText,
  forbidden,
  internalError,
  invalid,
  missingField,
  printed,
  quoted,
  required,
  sameServices,
} from "./fielderror.ts";
import { labelValueFaults, qualifiedNameFaults } from "./names.ts";
import { textErrors } from "./podrule.ts";
import { MESSAGES } from "./reasons.ts";
import type { Rollout } from "./rolloutschema.ts";
import type { CapabilityTable } from "./routers.ts";
import type { LabelSelector } from "./shapes.ts";
import type { BlueGreenStrategy } from "./strategyschema.ts";
import { validateAntiAffinity, validateCanary } from "./validatecanary.ts";
import { validatePodTemplate } from "./validatepod.ts";
import { labelErrors } from "./validatescheduling.ts";

type Requirement = NonNullable<LabelSelector["matchExpressions"]>[number];

/** What Argo holds against the spec of `rollout`, in its order; empty when valid. */
export function validateRollout(rollout: Rollout, capabilities: CapabilityTable): readonly FieldError[] {
  const { spec } = rollout;
  const deadline = progressDeadlineSecondsOf(rollout);
  const errors = [
    ...nonNegative(["spec", "replicas"], replicasOf(rollout)),
    ...validateWorkload(rollout),
    ...nonNegative(["spec", "minReadySeconds"], spec.minReadySeconds ?? 0),
    ...nonNegative(["spec", "revisionHistoryLimit"], revisionHistoryLimitOf(rollout)),
    ...nonNegative(["spec", "progressDeadlineSeconds"], deadline),
  ];
  if (deadline <= (spec.minReadySeconds ?? 0)) {
    const path = ["spec", "progressDeadlineSeconds"];
    errors.push(invalid(path, String(deadline), "must be greater than minReadySeconds"));
  }
  return [...errors, ...validateStrategy(rollout, capabilities)];
}

/** The InvalidSpec message of the first error: `The Rollout "x" is invalid: …`. */
export function invalidSpecMessage(rollout: Rollout, error: FieldError): string {
  return MESSAGES.invalidRollout(rollout.metadata.name, fieldErrorText(error));
}

function nonNegative(path: Path, value: number): FieldError[] {
  return value >= 0 ? [] : [invalid(path, String(value), "must be greater than or equal to 0")];
}

function validateWorkload({ spec }: Rollout): FieldError[] {
  const { selector, template, workloadRef } = spec;
  if (workloadRef !== undefined) {
    const isEmpty =
      Object.keys(template?.metadata?.labels ?? {}).length === 0 &&
      Object.keys(template?.metadata?.annotations ?? {}).length === 0;
    if (isEmpty) return [];
    return [internalError(["spec", "template"], "template must be empty for workload reference rollout")];
  }
  const path = ["spec", "selector"];
  if (selector === undefined) {
    const missing = required(path, missingField(".spec.selector"));
    return [missing, ...validatePodTemplate(template ?? {}, undefined, ["spec", "template"])];
  }
  const errors = validateSelector(selector, path);
  const isEmpty =
    Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;
  if (isEmpty)
    errors.push(
      invalid(path, printed("LabelSelector", selector), "empty selector is invalid for deployment"),
    );
  if (errors.some((error) => error.path.length > 2)) {
    errors.push(invalid(path, printed("LabelSelector", selector), "invalid label selector"));
    return errors;
  }
  return [...errors, ...validatePodTemplate(template ?? {}, selector, ["spec", "template"])];
}

function validateSelector({ matchLabels, matchExpressions = [] }: LabelSelector, path: Path): FieldError[] {
  return [
    ...labelErrors(matchLabels, [...path, "matchLabels"]),
    ...matchExpressions.flatMap((requirement, index) => {
      const at = [...path, "matchExpressions", index];
      const { key, values = [] } = requirement;
      return [
        ...operatorErrors(requirement, at),
        ...textErrors([...at, "key"], key, qualifiedNameFaults(key)),
        ...values.flatMap((value, item) =>
          textErrors([...at, "values", item], value, labelValueFaults(value)),
        ),
      ];
    }),
  ];
}

function operatorErrors({ operator, values = [] }: Requirement, at: Path): FieldError[] {
  const hasValues = values.length > 0;
  if (operator === "In" || operator === "NotIn") {
    const words = "must be specified when `operator` is 'In' or 'NotIn'";
    return hasValues ? [] : [required([...at, "values"], words)];
  }
  if (operator === "Exists" || operator === "DoesNotExist") {
    const words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    return hasValues ? [forbidden([...at, "values"], words)] : [];
  }
  return [invalid([...at, "operator"], quoted(operator), "not a valid selector operator")];
}

function validateStrategy(rollout: Rollout, capabilities: CapabilityTable): readonly FieldError[] {
  const { canary, blueGreen } = rollout.spec.strategy ?? {};
  const path = ["spec", "strategy"];
  // Argo names the field twice; clients compare the text.
  const field = "spec.strategy.strategy";
  if (canary === undefined && blueGreen === undefined)
    return [required(path, missingField(".spec.strategy.canary or .spec.strategy.blueGreen"), field)];
  if (canary !== undefined && blueGreen !== undefined)
    return [
      invalid(path, quoted("blueGreen: true canary: true"), "Multiple Strategies can not be listed", field),
    ];
  if (canary !== undefined) return validateCanary(rollout, canary, capabilities);
  return blueGreen === undefined ? [] : validateBlueGreen(rollout, blueGreen);
}

function validateBlueGreen(rollout: Rollout, blueGreen: BlueGreenStrategy): readonly FieldError[] {
  const path = ["spec", "strategy", "blueGreen"];
  const errors: FieldError[] = [];
  if (blueGreen.activeService === (blueGreen.previewService ?? ""))
    errors.push(
      invalid(
        [...path, "activeService"],
        quoted(blueGreen.activeService),
        sameServices("active and preview"),
      ),
    );
  const limit = blueGreen.scaleDownDelayRevisionLimit;
  if (limit !== undefined && revisionHistoryLimitOf(rollout) < limit) {
    const words =
      "This rollout's revision history limit can not be smaller than the rollout's scale down limit";
    errors.push(invalid([...path, "scaleDownDelayRevisionLimit"], String(limit), words));
  }
  return [...errors, ...validateAntiAffinity(blueGreen.antiAffinity, [...path, "antiAffinity"])];
}
