// The rules for pod templates that Argo takes over from Kubernetes, as far as manifests in the wild trip over them; the API
// server applies all of them to the ReplicaSet. Source: kubernetes pkg/apis/apps/validation ValidatePodTemplateSpecForReplicaSet, core/validation.
import type { Path } from "./decode.ts";
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  printed,
  quoted,
  required,
  unsupported,
} from "./fielderror.ts";
import type { Container, PodTemplateSpec } from "./podschema.ts";
import { selectorMatches } from "./selector.ts";
import type { LabelSelector } from "./shapes.ts";

const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const DNS_LABEL_WORDS =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const PROTOCOLS = ["SCTP", "TCP", "UDP"];

/** What is wrong with a pod template; `selector` is the one that must match its labels. */
export function validatePodTemplate(
  template: PodTemplateSpec,
  selector: LabelSelector | undefined,
  path: Path,
): readonly FieldError[] {
  const labels = template.metadata?.labels ?? {};
  const spec = template.spec ?? { containers: [] };
  const errors: FieldError[] = [];
  // Go reads an absent selector as one that matches nothing.
  if (selector === undefined || !selectorMatches(selector, labels)) {
    const words = "`selector` does not match template `labels`";
    errors.push(invalid([...path, "metadata", "labels"], printed("{s", template.metadata?.labels), words));
  }
  const containers = [...path, "spec", "containers"];
  if (spec.containers.length === 0) errors.push(required(containers));
  errors.push(...validateContainers(spec.containers, containers, new Set()));
  const names = new Set(spec.containers.map(({ name }) => name));
  errors.push(...validateContainers(spec.initContainers ?? [], [...path, "spec", "initContainers"], names));
  const { restartPolicy = "Always", activeDeadlineSeconds } = spec;
  if (restartPolicy !== "Always")
    errors.push(unsupported([...path, "spec", "restartPolicy"], restartPolicy, ["Always"]));
  if (activeDeadlineSeconds !== undefined) {
    const words = "activeDeadlineSeconds in ReplicaSet is not Supported";
    errors.push(forbidden([...path, "spec", "activeDeadlineSeconds"], words));
  }
  return errors;
}

function validateContainers(
  containers: readonly Container[],
  path: Path,
  taken: ReadonlySet<string>,
): FieldError[] {
  const seen = new Set(taken);
  return containers.flatMap((container, index) => {
    const at = [...path, index];
    const errors: FieldError[] = [];
    if (container.name === "") errors.push(required([...at, "name"]));
    else if (!DNS_LABEL.test(container.name))
      errors.push(invalid([...at, "name"], quoted(container.name), DNS_LABEL_WORDS));
    if (container.name !== "" && seen.has(container.name))
      errors.push(duplicate([...at, "name"], container.name));
    seen.add(container.name);
    if ((container.image ?? "") === "") errors.push(required([...at, "image"]));
    return [...errors, ...validatePorts(container, [...at, "ports"])];
  });
}

function validatePorts({ ports = [] }: Container, path: Path): FieldError[] {
  return ports.flatMap(({ containerPort, protocol = "TCP" }, index) => {
    const errors: FieldError[] = [];
    if (containerPort === 0) errors.push(required([...path, index, "containerPort"]));
    else if (containerPort < 1 || containerPort > 65535) {
      const words = "must be between 1 and 65535, inclusive";
      errors.push(invalid([...path, index, "containerPort"], String(containerPort), words));
    }
    if (!PROTOCOLS.includes(protocol))
      errors.push(unsupported([...path, index, "protocol"], protocol, PROTOCOLS));
    return errors;
  });
}
