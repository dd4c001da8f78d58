// Whether two pod templates mean the same: the pod-hash label and every value that the API server would fill in, in the template or in the
// pods made from it, make no difference. So a library that adds a default, or a hash that moves, starts no rollout.
// Source of the defaults: kubernetes pkg/apis/core/v1 defaults.go, zz_generated.defaults.go and conversion.go, v1.36.
import { isObject } from "../lib/json.ts";
import { canonicalQuantity, milliQuantity } from "../lib/quantity.ts";
import { goFields, goJson } from "./gojson.ts";
import { DEPLOYMENT_POD_HASH_LABEL, POD_HASH_LABEL } from "./labels.ts";

type JsonRecord = Readonly<Record<string, unknown>>;

/** Go struct and field to the value that stands for its absence. */
const DEFAULTS: JsonRecord = {
  "PodSpec.restartPolicy": "Always",
  "PodSpec.dnsPolicy": "ClusterFirst",
  "PodSpec.schedulerName": "default-scheduler",
  "PodSpec.terminationGracePeriodSeconds": 30,
  "PodSpec.enableServiceLinks": true,
  "Container.terminationMessagePath": "/dev/termination-log",
  "Container.terminationMessagePolicy": "File",
  "EphemeralContainer.terminationMessagePath": "/dev/termination-log",
  "EphemeralContainer.terminationMessagePolicy": "File",
  "ContainerPort.protocol": "TCP",
  "Probe.timeoutSeconds": 1,
  "Probe.periodSeconds": 10,
  "Probe.successThreshold": 1,
  "Probe.failureThreshold": 3,
  "HTTPGetAction.path": "/",
  "HTTPGetAction.scheme": "HTTP",
  "GRPCAction.service": "",
  "ObjectFieldSelector.apiVersion": "v1",
  "FileKeySelector.optional": false,
  "ResourceFieldSelector.divisor": "0",
  "SecretVolumeSource.defaultMode": 420,
  "ConfigMapVolumeSource.defaultMode": 420,
  "DownwardAPIVolumeSource.defaultMode": 420,
  "ProjectedVolumeSource.defaultMode": 420,
  "ServiceAccountTokenProjection.expirationSeconds": 3600,
  "HostPathVolumeSource.type": "",
  "ISCSIVolumeSource.iscsiInterface": "default",
  "RBDVolumeSource.pool": "rbd",
  "RBDVolumeSource.user": "admin",
  "RBDVolumeSource.keyring": "/etc/ceph/keyring",
  "AzureDiskVolumeSource.cachingMode": "ReadWrite",
  "AzureDiskVolumeSource.fsType": "ext4",
  "AzureDiskVolumeSource.kind": "Shared",
  "AzureDiskVolumeSource.readOnly": false,
  "ScaleIOVolumeSource.storageMode": "ThinProvisioned",
  "ScaleIOVolumeSource.fsType": "xfs",
  "PersistentVolumeClaimSpec.volumeMode": "Filesystem",
};

/** Structs whose empty form is what the API server fills in. */
const EMPTY_DEFAULTS: ReadonlySet<string> = new Set([
  "PodTemplateSpec.metadata",
  "PodSpec.securityContext",
  "Volume.emptyDir",
]);

/** Compares two templates as they stand in a Rollout, a ReplicaSet or a Deployment. */
export function semanticallyEqualTemplates(a: unknown, b: unknown): boolean {
  return a === b || (mayBeEqual(a, b) && meaning(a) === meaning(b));
}

/** Versions mostly differ in an image, which no default changes: that is seen at a glance. */
function mayBeEqual(a: unknown, b: unknown): boolean {
  const [ours, theirs] = [imagesOf(a), imagesOf(b)];
  return ours.length === theirs.length && ours.every((image, index) => image === theirs[index]);
}

/** What stands for the images; of whatever is not as it should be, nothing. */
function imagesOf(template: unknown): readonly unknown[] {
  const spec = isObject(template) ? template.spec : undefined;
  const containers = isObject(spec) ? spec.containers : undefined;
  if (!Array.isArray(containers)) return [];
  return containers.map((one: unknown) => (isObject(one) && typeof one.image === "string" ? one.image : ""));
}

function meaning(template: unknown): string {
  return goJson("PodTemplateSpec", strip("PodTemplateSpec", template));
}

/** The value without defaults; `type` in the codes of the struct table. */
function strip(type: string, value: unknown): unknown {
  const inner = type.slice(1);
  if (type[0] === "*") return strip(inner, value);
  // What is no list where one should be means nothing, and the other way round.
  if (type[0] === "[") return Array.isArray(value) ? value.map((item) => strip(inner, item)) : undefined;
  if (Array.isArray(value)) return undefined;
  if (!isObject(value) || type.length === 1) return value;
  if (type[0] === "{")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, strip(inner, item)]));
  const entries = [...goFields(type)].flatMap(([key, fieldType]) => {
    const stripped = strip(fieldType, reduced(type, key, value[key], value));
    return stripped === undefined || isDefault(type, key, stripped, value) ? [] : [[key, stripped] as const];
  });
  return Object.fromEntries(entries);
}

function isDefault(struct: string, key: string, value: unknown, owner: JsonRecord): boolean {
  const field = `${struct}.${key}`;
  if (isObject(value) && Object.keys(value).length === 0 && EMPTY_DEFAULTS.has(field)) return true;
  switch (field) {
    case "Container.imagePullPolicy":
    case "EphemeralContainer.imagePullPolicy":
      return value === pullPolicyOf(owner.image);
    case "ImageVolumeSource.pullPolicy":
      return value === pullPolicyOf(owner.reference);
    default:
      return Object.hasOwn(DEFAULTS, field) && value === DEFAULTS[field];
  }
}

/** What is implied goes: the hash label, a request that repeats its limit, the old name of a field, the port of a host's network. */
function reduced(struct: string, key: string, value: unknown, owner: JsonRecord): unknown {
  switch (`${struct}.${key}`) {
    case "ObjectMeta.labels":
      return isObject(value) ? without(value, isHashLabel) : value;
    case "ResourceRequirements.requests":
      return requestsOf(value, owner.limits);
    case "ResourceRequirements.limits":
    case "VolumeResourceRequirements.limits":
    case "VolumeResourceRequirements.requests":
    case "PodSpec.overhead":
      return rounded(value);
    case "PodSpec.serviceAccountName":
      return value === undefined || value === "" ? owner.serviceAccount : value;
    case "PodSpec.serviceAccount":
      return undefined;
    case "PodSpec.containers":
    case "PodSpec.initContainers":
      return owner.hostNetwork === true ? withoutHostPorts(value) : value;
    default:
      return value;
  }
}

function isHashLabel(name: string): boolean {
  return name === POD_HASH_LABEL || name === DEPLOYMENT_POD_HASH_LABEL;
}

/** Requests other than those that a pod takes from its limits. */
function requestsOf(requests: unknown, limits: unknown): unknown {
  const own = rounded(requests);
  if (!isObject(own) || !isObject(limits)) return own;
  const ceilings = rounded(limits);
  if (!isObject(ceilings)) return own;
  return without(own, (name) => quantity(own[name]) === quantity(ceilings[name]));
}

/** A list of resources as the API server keeps it: nothing finer than a thousandth. */
function rounded(list: unknown): unknown {
  if (!isObject(list)) return list;
  const entries = Object.entries(list).map(([name, amount]) => {
    const text = typeof amount === "string" || typeof amount === "number" ? String(amount) : undefined;
    return [name, (text === undefined ? undefined : milliQuantity(text)) ?? amount] as const;
  });
  return Object.fromEntries(entries);
}

/** Containers on their host's network listen on the host's port of the same number, said or not. */
function withoutHostPorts(containers: unknown): unknown {
  if (!Array.isArray(containers)) return containers;
  return containers.map((container: unknown) => {
    if (!isObject(container) || !Array.isArray(container.ports)) return container;
    const ports = container.ports.map((port: unknown) =>
      isObject(port) && port.hostPort === port.containerPort
        ? without(port, (name) => name === "hostPort")
        : port,
    );
    return { ...container, ports };
  });
}

/** An image's name, tag and digest. Source: github.com/distribution/reference, whose parser the API server asks. */
const IMAGE = new RegExp(
  [
    "^(?:(?:[A-Za-z0-9][A-Za-z0-9-]*(?:\\.[A-Za-z0-9-]+)*|\\[[0-9A-Fa-f:]+\\])(?::[0-9]+)?/)?",
    "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*",
    "(?::(?<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?<digest>[A-Za-z0-9+._-]+:[0-9a-fA-F]{32,}))?$",
  ].join(""),
);

/** What the API server takes for an image that says nothing else: always pull what has no tag, or the tag latest. */
function pullPolicyOf(image: unknown): string {
  const parts = typeof image === "string" ? IMAGE.exec(image)?.groups : undefined;
  if (parts === undefined) return "IfNotPresent";
  const { tag, digest } = parts;
  return tag === "latest" || (tag === undefined && digest === undefined) ? "Always" : "IfNotPresent";
}

function without(map: JsonRecord, isLeftOut: (key: string) => boolean): JsonRecord {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !isLeftOut(key)));
}

function quantity(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  return canonicalQuantity(String(value));
}
