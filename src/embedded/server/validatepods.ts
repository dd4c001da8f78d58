// Rules of pods and of the pod templates of ReplicaSets: those of api/, by which `weir lint` and the controller judge a Rollout's template too;
// and what of a pod may change. Pure.
import {
  type FieldError,
  fieldErrorText,
  type KubeObject,
  readPod,
  readReplicaSet,
  validatePodSpec,
  validatePodTemplate,
} from "../../api/api.ts";
import { jsonEqual } from "../../lib/json.ts";
import { type Cause, forbiddenValue } from "./errors.ts";
import { fieldAt, type Json, objectAt, stringAt } from "./fields.ts";

/** Findings about a pod; `before` is undefined when it is created. */
export function validatePod(pod: KubeObject, before: Json | undefined): readonly Cause[] {
  return [
    ...(isSame(pod, before, "spec") ? [] : validatePodSpec(readPod(pod).value).map(causeOf)),
    ...validatePodChange(pod, before),
  ];
}

/** Findings about the pod template of a ReplicaSet. */
export function validateTemplate(replicaSet: KubeObject, before: Json | undefined): readonly Cause[] {
  if (isSame(replicaSet, before, "spec.template")) return [];
  const { selector, template = {} } = readReplicaSet(replicaSet).value.spec;
  return validatePodTemplate(template, selector, ["spec", "template"]).map(causeOf);
}

/** What was stored before a rule came must go on being updated. */
function isSame(object: Json, before: Json | undefined, field: string): boolean {
  return before !== undefined && jsonEqual(fieldAt(object, field), fieldAt(before, field));
}

const REASONS: Readonly<Record<FieldError["type"], Cause["reason"]>> = {
  "Required value": "FieldValueRequired",
  "Invalid value": "FieldValueInvalid",
  "Unsupported value": "FieldValueNotSupported",
  "Duplicate value": "FieldValueDuplicate",
  "Not found": "FieldValueNotFound",
  Forbidden: "FieldValueForbidden",
  "Internal error": "InternalError",
};

function causeOf(error: FieldError): Cause {
  return {
    reason: REASONS[error.type],
    field: error.field,
    message: fieldErrorText({ ...error, field: "" }),
  };
}

/** A pod's spec is fixed but for images, the deadline, tolerations, grace, and the node as long as it has none. */
function validatePodChange(pod: Json, before: Json | undefined): readonly Cause[] {
  if (before === undefined) return [];
  const fixed = (object: Json): Json => {
    const spec = { ...objectAt(object, "spec") };
    for (const key of ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"])
      delete spec[key];
    if (stringAt(before, "spec.nodeName") === undefined) delete spec.nodeName;
    for (const key of ["containers", "initContainers"])
      if (Array.isArray(spec[key]))
        spec[key] = spec[key].map((item) => ({ ...item, image: "", imagePullPolicy: "" }));
    return spec;
  };
  if (jsonEqual(fixed(pod), fixed(before))) return [];
  const words =
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds`";
  return [forbiddenValue("spec", words)];
}
