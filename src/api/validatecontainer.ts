// Kubernetes' rules for the containers of a pod template, in its order. Source: kubernetes pkg/apis/core/validation, v1.34.
import type { Path } from "./decode.ts";
import { duplicate, type FieldError, forbidden, required, unsupported } from "./fielderror.ts";
import { dnsLabelFaults, portNameFaults, portNumberFaults } from "./names.ts";
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
import { envErrors, envFromErrors } from "./validateenv.ts";
import { lifecycleErrors, PROBES, probeErrors } from "./validateprobe.ts";
import { resourceErrors } from "./validateresources.ts";
import { containerSecurityErrors } from "./validatesecurity.ts";
import { mountErrors } from "./validatevolume.ts";

/** A container and what of its pod its rules depend on. */
export interface ContainerView {
  readonly container: Json;
  readonly kind: "containers" | "initContainers";
  /** Names of containers that come before it. */
  readonly taken: ReadonlySet<string>;
  /** Names of the pod's volumes. */
  readonly volumes: ReadonlySet<string>;
  /** `terminationGracePeriodSeconds` of the pod. */
  readonly graceS: number | undefined;
}

const PROTOCOLS = ["SCTP", "TCP", "UDP"];

/** The rules that every container is held against, in this order. */
export const CONTAINER_RULES: readonly PodRule<ContainerView>[] = [
  {
    name: "container-name",
    says: "every container has a name, a DNS label of at most 63 characters",
    check: ({ container }, path) => nameErrors(textOf(container.name), [...path, "name"]),
  },
  {
    name: "image",
    says: "every container has an image",
    check: ({ container }, path) => (textOf(container.image) === "" ? [required([...path, "image"])] : []),
  },
  {
    name: "termination-message-policy",
    says: "`terminationMessagePolicy` is File or FallbackToLogsOnError",
    check: ({ container }, path) =>
      oneOf([...path, "terminationMessagePolicy"], container.terminationMessagePolicy, [
        "File",
        "FallbackToLogsOnError",
      ]),
  },
  {
    name: "ports",
    says: "ports are numbers from 1 to 65535, their names at most 15 letters, digits and hyphens and used once, their protocol SCTP, TCP or UDP",
    check: ({ container }, path) => portErrors(container.ports, [...path, "ports"]),
  },
  {
    name: "env",
    says: "variables have a name and a value from one source, which names what it takes",
    check: ({ container }, path) => envErrors(container.env, [...path, "env"]),
  },
  {
    name: "env-from",
    says: "an item of `envFrom` names one ConfigMap or Secret",
    check: ({ container }, path) => envFromErrors(container.envFrom, [...path, "envFrom"]),
  },
  {
    name: "volume-mounts",
    says: "mounts name a volume of the pod and a path of their own; sub-paths are relative and do not go up",
    check: ({ container, volumes }, path) => mountErrors(container, volumes, path),
  },
  {
    name: "image-pull-policy",
    says: "`imagePullPolicy` is Always, IfNotPresent or Never",
    check: ({ container }, path) =>
      oneOf([...path, "imagePullPolicy"], container.imagePullPolicy, ["Always", "IfNotPresent", "Never"]),
  },
  {
    name: "resources",
    says: "requests and limits are of known or qualified resources, not negative, requests at most the limit; what cannot be shared has equal ones",
    check: ({ container }, path) => resourceErrors(container.resources, [...path, "resources"]),
  },
  {
    name: "security-context",
    says: "user and group ids are from 0 to 2147483647, `procMount` and the seccomp profile are known",
    check: ({ container }, path) =>
      containerSecurityErrors(container.securityContext, [...path, "securityContext"]),
  },
  {
    name: "container-restart-policy",
    says: "`restartPolicy` is for init containers, and Always there (a sidecar)",
    check: ({ container, kind }, path) => restartErrors(container, kind, [...path, "restartPolicy"]),
  },
  {
    name: "unique-container-name",
    says: "a name is used once among containers and init containers",
    check: ({ container, taken }, path) => {
      const name = textOf(container.name);
      return name !== "" && taken.has(name) ? [duplicate([...path, "name"], name)] : [];
    },
  },
  {
    name: "lifecycle",
    says: "hooks have exactly one handler; a sleep ends within the grace period",
    check: ({ container, kind, graceS }, path) =>
      mayHaveProbes(container, kind)
        ? lifecycleErrors(container.lifecycle, [...path, "lifecycle"], graceS)
        : [],
  },
  {
    name: "probes",
    says: "probes have exactly one handler, a port that can be, nothing negative, `successThreshold` 1 but for readiness",
    check: ({ container, kind }, path) =>
      mayHaveProbes(container, kind)
        ? PROBES.flatMap((probe) => probeErrors(container[probe], [...path, probe]))
        : [],
  },
  {
    name: "init-container-probes",
    says: "init containers have no probes and hooks unless they are sidecars",
    check: ({ container, kind }, path) => {
      if (mayHaveProbes(container, kind)) return [];
      const words = "may not be set for init containers without restartPolicy=Always";
      const isSet = (field: string): boolean => objectOf(container[field]) !== undefined;
      return ["lifecycle", ...PROBES].filter(isSet).map((field) => forbidden([...path, field], words));
    },
  },
];

/** What is wrong with a list of containers; `taken`: names of those that count before them. */
export function containerErrors(
  containers: unknown,
  view: Pick<ContainerView, "kind" | "volumes" | "graceS"> & { readonly taken: ReadonlySet<string> },
  path: Path,
): readonly FieldError[] {
  const taken = new Set(view.taken);
  const errors = itemsOf(containers, path).flatMap(([container, at]) => {
    const found = applyRules(CONTAINER_RULES, { ...view, container, taken: new Set(taken) }, at);
    taken.add(textOf(container.name));
    return found;
  });
  return [...errors, ...hostPortErrors(containers, path, view.kind)];
}

function nameErrors(name: string, path: Path): readonly FieldError[] {
  return name === "" ? [required(path)] : textErrors(path, name, dnsLabelFaults(name));
}

function mayHaveProbes(container: Json, kind: ContainerView["kind"]): boolean {
  return kind === "containers" || container.restartPolicy === "Always";
}

function restartErrors(
  { restartPolicy }: Json,
  kind: ContainerView["kind"],
  path: Path,
): readonly FieldError[] {
  if (typeof restartPolicy !== "string" || restartPolicy === "") return [];
  if (kind === "containers") return [forbidden(path, "may not be set for non-init containers")];
  return oneOf(path, restartPolicy, ["Always"]);
}

function portErrors(ports: unknown, path: Path): readonly FieldError[] {
  const names = new Set<string>();
  return itemsOf(ports, path).flatMap(([port, at]) => {
    const name = textOf(port.name);
    const number = numberOf(port.containerPort) ?? 0;
    const hostPort = numberOf(port.hostPort) ?? 0;
    const protocol = textOf(port.protocol) || "TCP";
    const errors: FieldError[] = [];
    const faults = name === "" ? [] : portNameFaults(name);
    errors.push(...textErrors([...at, "name"], name, faults));
    if (faults.length === 0 && names.has(name)) errors.push(duplicate([...at, "name"], name));
    if (name !== "") names.add(name);
    if (number === 0) errors.push(required([...at, "containerPort"]));
    else errors.push(...numberErrors([...at, "containerPort"], number));
    if (hostPort !== 0) errors.push(...numberErrors([...at, "hostPort"], hostPort));
    if (!PROTOCOLS.includes(protocol)) errors.push(unsupported([...at, "protocol"], protocol, PROTOCOLS));
    return errors;
  });
}

function numberErrors(path: Path, port: number): readonly FieldError[] {
  return portNumberFaults(port).map((detail) => ({
    ...required(path, detail),
    type: "Invalid value",
    value: `${port}`,
  }));
}

/** Ports of the node that two containers ask for; init containers run one after the other. */
function hostPortErrors(containers: unknown, path: Path, kind: ContainerView["kind"]): readonly FieldError[] {
  let taken = new Set<string>();
  return itemsOf(containers, path).flatMap(([container, at]) => {
    if (kind === "initContainers") taken = new Set();
    return itemsOf(container.ports, [...at, "ports"]).flatMap(([port, place]) => {
      if ((numberOf(port.hostPort) ?? 0) === 0) return [];
      const key = `${textOf(port.protocol) || "TCP"}/${textOf(port.hostIP)}/${String(port.hostPort)}`;
      const isTaken = taken.has(key);
      taken.add(key);
      return isTaken ? [duplicate([...place, "hostPort"], key)] : [];
    });
  });
}
