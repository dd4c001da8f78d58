// What a pod asks for and a local process does not get: told once, by an event, instead of being ignored. Pure.
import { isObject } from "../../lib/json.ts";
import type { Container, Pod } from "./podspec.ts";
import type { Ability } from "./sandbox.ts";
import { uncarriedVolume } from "./volumes.ts";

/** Fields of a pod's spec that change what its processes are or see. */
const POD_FIELDS = [
  "activeDeadlineSeconds",
  "dnsConfig",
  "hostAliases",
  "hostIPC",
  "hostNetwork",
  "hostPID",
  "hostname",
  "runtimeClassName",
  "shareProcessNamespace",
  "subdomain",
] as const;
const POD_SECURITY = [
  "appArmorProfile",
  "fsGroup",
  "seLinuxOptions",
  "seccompProfile",
  "sysctls",
  "windowsOptions",
] as const;
const CONTAINER_FIELDS = ["stdin", "tty", "volumeDevices"] as const;
const CONTAINER_SECURITY = [
  "appArmorProfile",
  "capabilities",
  "privileged",
  "procMount",
  "readOnlyRootFilesystem",
  "seLinuxOptions",
  "seccompProfile",
  "windowsOptions",
] as const;

/** The fields, each with the container it belongs to. Empty: everything is carried out. */
export function notCarriedOut(pod: Pod, ability: Ability, isRoot: boolean): readonly string[] {
  const { initContainers = [], containers = [], volumes = [], securityContext } = pod.spec;
  const mounted = new Set(
    [...initContainers, ...containers].flatMap(({ volumeMounts = [] }) =>
      volumeMounts.map(({ name }) => name),
    ),
  );
  const users = ["runAsUser", "runAsGroup", "supplementalGroups"];
  return [
    ...present(pod.spec, POD_FIELDS),
    ...present(securityContext, [...POD_SECURITY, ...(ability.users ? [] : users)]).map(
      (field) => `securityContext.${field}`,
    ),
    ...volumes.flatMap((volume) => {
      const why = mounted.has(volume.name) ? uncarriedVolume(volume) : undefined;
      return why === undefined ? [] : [`volume ${volume.name} (${why})`];
    }),
    ...[...initContainers, ...containers].flatMap((container) =>
      ofContainer(container, pod, ability, isRoot).map((field) => `${field} of container ${container.name}`),
    ),
  ];
}

function ofContainer(container: Container, pod: Pod, ability: Ability, isRoot: boolean): readonly string[] {
  const own = { ...pod.spec.securityContext, ...container.securityContext };
  const limits =
    isObject(container) && isObject(container.resources) ? container.resources.limits : undefined;
  return [
    ...present(container, CONTAINER_FIELDS),
    ...(isObject(limits) && Object.keys(limits).length > 0 ? ["resources.limits"] : []),
    ...[
      ...present(container.securityContext, CONTAINER_SECURITY),
      ...(ability.users ? [] : present(container.securityContext, ["runAsUser", "runAsGroup"])),
      ...(container.securityContext?.allowPrivilegeEscalation === false && !ability.noNewPrivileges
        ? ["allowPrivilegeEscalation"]
        : []),
      ...(own.runAsNonRoot === true && isRoot && (own.runAsUser ?? 0) === 0 ? ["runAsNonRoot"] : []),
    ].map((field) => `securityContext.${field}`),
  ];
}

/** Fields that are there and ask for something: `false` and empty ones do not. */
function present(object: object | undefined, fields: readonly string[]): readonly string[] {
  const values = new Map(Object.entries(object ?? {}));
  return fields.filter((field) => {
    const value: unknown = values.get(field);
    if (value === undefined || value === null || value === false || value === "") return false;
    return (
      !(Array.isArray(value) && value.length === 0) && !(isObject(value) && Object.keys(value).length === 0)
    );
  });
}
