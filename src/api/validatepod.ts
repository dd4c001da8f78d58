// The rules for pod templates that Argo takes over from Kubernetes and that hold without a cluster, as a named list in Kubernetes' order;
// docs/reference/validation.md is written from it. The API server applies all of its rules to the ReplicaSet.
// Source: kubernetes pkg/apis/apps/validation ValidatePodTemplateSpecForReplicaSet, core/validation, v1.34 (which Argo v1.9 builds upon).
import { formatPath, type Path } from "./decode.ts";
import { type FieldError, forbidden, invalid, printed, required, unsupported } from "./fielderror.ts";
import { goFindings } from "./gocheck.ts";
import { dnsLabelFaults, qualifiedNameFaults, subdomainFaults } from "./names.ts";
import {
  applyRules,
  itemsOf,
  type Json,
  numberOf,
  objectOf,
  oneOf,
  type PodRule,
  textErrors,
  textOf,
} from "./podrule.ts";
import type { PodTemplateSpec } from "./podschema.ts";
import { selectorMatches } from "./selector.ts";
import type { LabelSelector } from "./shapes.ts";
import { containerErrors } from "./validatecontainer.ts";
import { labelErrors, podAffinityErrors, spreadErrors, tolerationErrors } from "./validatescheduling.ts";
import { podSecurityErrors } from "./validatesecurity.ts";
import { volumeErrors } from "./validatevolume.ts";

export { CONTAINER_RULES } from "./validatecontainer.ts";

const DNS_POLICIES = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];

/** A pod template, and the selector that must match its labels. */
export interface TemplateView {
  readonly template: PodTemplateSpec;
  readonly selector: LabelSelector | undefined;
  /** The template's parts, whatever they are. */
  readonly metadata: Json;
  readonly spec: Json;
}

/** The rules that a pod template is held against, in this order; `containers` and `init-containers` apply CONTAINER_RULES to each. */
export const POD_RULES: readonly PodRule<TemplateView>[] = [
  { name: "selector", says: "the selector matches the template's labels", check: selectorErrors },
  {
    name: "labels",
    says: "label keys are qualified names, values at most 63 characters of letters, digits, `-`, `_` and `.`",
    check: ({ metadata }, path) =>
      withoutMetadata(labelErrors(metadata.labels, [...path, "metadata", "labels"]), [...path, "labels"]),
  },
  {
    name: "annotations",
    says: "annotation keys are qualified names",
    check: ({ metadata }, path) =>
      withoutMetadata(
        Object.keys(objectOf(metadata.annotations) ?? {}).flatMap((key) =>
          textErrors([...path, "metadata", "annotations"], key, qualifiedNameFaults(key.toLowerCase())),
        ),
        [...path, "annotations"],
      ),
  },
  {
    name: "volumes",
    says: "volumes have a name of their own and at most one source, which says what it needs",
    check: ({ spec }, path) => volumeErrors(spec.volumes, [...path, "spec", "volumes"]),
  },
  {
    name: "containers",
    says: "there is a container, and each keeps the rules for containers",
    check: ({ spec }, path) => listErrors(spec, "containers", [...path, "spec", "containers"]),
  },
  {
    name: "init-containers",
    says: "each init container keeps the rules for containers",
    check: ({ spec }, path) => listErrors(spec, "initContainers", [...path, "spec", "initContainers"]),
  },
  {
    name: "restart-policy",
    says: "`restartPolicy` is Always",
    check: ({ spec }, path) =>
      oneOf([...path, "spec", "restartPolicy"], spec.restartPolicy, ["Always", "OnFailure", "Never"]),
  },
  {
    name: "dns-policy",
    says: "`dnsPolicy` is ClusterFirstWithHostNet, ClusterFirst, Default or None",
    check: ({ spec }, path) => oneOf([...path, "spec", "dnsPolicy"], spec.dnsPolicy, DNS_POLICIES),
  },
  {
    name: "node-selector",
    says: "`nodeSelector` holds labels",
    check: ({ spec }, path) => labelErrors(spec.nodeSelector, [...path, "spec", "nodeSelector"]),
  },
  {
    name: "pod-security-context",
    says: "user and group ids are from 0 to 2147483647",
    check: ({ spec }, path) => podSecurityErrors(spec.securityContext, [...path, "spec", "securityContext"]),
  },
  {
    name: "affinity",
    says: "terms of affinity to pods have a topology key, and a weight from 1 to 100 where it is preferred",
    check: ({ spec }, path) => podAffinityErrors(spec.affinity, [...path, "spec", "affinity"]),
  },
  {
    name: "readiness-gates",
    says: "readiness gates name a condition",
    check: ({ spec }, path) =>
      itemsOf(spec.readinessGates, [...path, "spec", "readinessGates"]).flatMap(([{ conditionType }, at]) =>
        textErrors(
          [...at, "conditionType"],
          textOf(conditionType),
          qualifiedNameFaults(textOf(conditionType)),
        ),
      ),
  },
  {
    name: "topology-spread",
    says: "spread constraints have a skew above 0, a topology key, a known action, and are there once",
    check: ({ spec }, path) =>
      spreadErrors(spec.topologySpreadConstraints, [...path, "spec", "topologySpreadConstraints"]),
  },
  {
    name: "object-names",
    says: "`serviceAccountName`, `nodeName`, `hostname`, `subdomain`, `priorityClassName` and `runtimeClassName` can be names",
    check: namesErrors,
  },
  {
    name: "tolerations",
    says: "tolerations have a key or tolerate everything, and a value, operator and effect that go together",
    check: ({ spec }, path) => tolerationErrors(spec.tolerations, [...path, "spec", "tolerations"]),
  },
  {
    name: "os",
    says: "`os` is linux or windows",
    check: ({ spec }, path) => oneOf([...path, "spec", "os"], objectOf(spec.os)?.name, ["linux", "windows"]),
  },
  {
    name: "ephemeral-containers",
    says: "a template has no ephemeral containers",
    check: ephemeralErrors,
  },
  {
    name: "only-always",
    says: "pods of a ReplicaSet are restarted always and have no deadline",
    check: replicaSetErrors,
  },
];

/** What is wrong with a pod template; `selector` is the one that must match its labels. */
export function validatePodTemplate(
  template: PodTemplateSpec,
  selector: LabelSelector | undefined,
  path: Path,
): readonly FieldError[] {
  const metadata: Json = template.metadata ?? {};
  const spec: Json = template.spec ?? {};
  return applyRules(POD_RULES, { template, selector, metadata, spec }, path);
}

/** Rules that hold for a template, or only for one of a ReplicaSet. A pod's own metadata is looked at with that of every object. */
const TEMPLATE_ONLY: ReadonlySet<string> = new Set([
  "selector",
  "labels",
  "annotations",
  "ephemeral-containers",
  "only-always",
]);

/** What is wrong with the spec of a pod, by the same rules. */
export function validatePodSpec(pod: PodTemplateSpec): readonly FieldError[] {
  const rules = POD_RULES.filter(({ name }) => !TEMPLATE_ONLY.has(name));
  const spec: Json = pod.spec ?? {};
  const errors = applyRules(rules, { template: pod, selector: undefined, metadata: {}, spec }, []);
  return [...errors, ...deadlineErrors(spec, [])];
}

function selectorErrors({ template, selector }: TemplateView, path: Path): readonly FieldError[] {
  const labels = template.metadata?.labels;
  // Go reads an absent selector as one that matches nothing.
  if (selector !== undefined && selectorMatches(selector, labels ?? {})) return [];
  const words = "`selector` does not match template `labels`";
  return [invalid([...path, "metadata", "labels"], printed("{s", labels), words)];
}

/** Argo holds labels and annotations against Kubernetes' rules under a path that leaves out `metadata`. */
function withoutMetadata(errors: readonly FieldError[], path: Path): readonly FieldError[] {
  return errors.map((error) => ({ ...error, field: formatPath(path) }));
}

function listErrors(spec: Json, kind: "containers" | "initContainers", path: Path): readonly FieldError[] {
  if (kind === "containers" && itemsOf(spec.containers, path).length === 0) return [required(path)];
  const before = kind === "containers" ? [] : itemsOf(spec.containers, path);
  const view = {
    kind,
    taken: new Set(before.map(([{ name }]) => textOf(name))),
    volumes: new Set(itemsOf(spec.volumes, path).map(([{ name }]) => textOf(name))),
    graceS: numberOf(spec.terminationGracePeriodSeconds),
  };
  return containerErrors(spec[kind], view, path);
}

function namesErrors({ spec }: TemplateView, path: Path): readonly FieldError[] {
  const held = [
    ["serviceAccountName", subdomainFaults],
    ["nodeName", subdomainFaults],
    ["hostname", dnsLabelFaults],
    ["subdomain", dnsLabelFaults],
    ["priorityClassName", subdomainFaults],
    ["runtimeClassName", subdomainFaults],
  ] as const;
  return held.flatMap(([field, faults]) => {
    const name = textOf(spec[field]);
    return name === "" ? [] : textErrors([...path, "spec", field], name, faults(name));
  });
}

/** A list that does not decode counts as none, as in Argo, whose decoder drops it whole. */
function ephemeralErrors({ spec }: TemplateView, path: Path): readonly FieldError[] {
  const list = spec.ephemeralContainers;
  if (!Array.isArray(list) || list.length === 0) return [];
  const at = [...path, "spec", "ephemeralContainers"];
  if (goFindings("[EphemeralContainer", list, at).mistyped.length > 0) return [];
  return [forbidden(at, "ephemeral containers not allowed in pod template")];
}

function replicaSetErrors({ spec }: TemplateView, path: Path): readonly FieldError[] {
  const policy = textOf(spec.restartPolicy);
  const errors = [...deadlineErrors(spec, path)];
  if (policy !== "" && policy !== "Always")
    errors.push(unsupported([...path, "spec", "restartPolicy"], policy, ["Always"]));
  if (spec.activeDeadlineSeconds !== undefined) {
    const words = "activeDeadlineSeconds in ReplicaSet is not Supported";
    errors.push(forbidden([...path, "spec", "activeDeadlineSeconds"], words));
  }
  return errors;
}

function deadlineErrors(spec: Json, path: Path): readonly FieldError[] {
  const deadlineS = numberOf(spec.activeDeadlineSeconds) ?? 1;
  if (deadlineS >= 1) return [];
  const words = "must be between 1 and 2147483647, inclusive";
  return [invalid([...path, "spec", "activeDeadlineSeconds"], String(deadlineS), words)];
}
