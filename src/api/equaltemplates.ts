// Whether two pod templates mean the same: the pod-hash label and every value that the API server would fill in make no
// difference. So a library that adds a default, or a hash that moves, starts no rollout. Source of the defaults: kubernetes pkg/apis/core/v1 defaults.go.
import { isObject } from "../lib/json.ts";
import { canonicalQuantity } from "../lib/quantity.ts";
import { goFields, goJson } from "./gojson.ts";
import { DEPLOYMENT_POD_HASH_LABEL, POD_HASH_LABEL } from "./labels.ts";

type JsonRecord = Readonly<Record<string, unknown>>;

/** Go struct and field to the value that stands for its absence. */
const DEFAULTS: JsonRecord = {
  "PodSpec.restartPolicy": "Always",
  "PodSpec.dnsPolicy": "ClusterFirst",
  "PodSpec.schedulerName": "default-scheduler",
  "PodSpec.terminationGracePeriodSeconds": 30,
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
  return a === b || meaning(a) === meaning(b);
}

function meaning(template: unknown): string {
  return goJson("PodTemplateSpec", strip("PodTemplateSpec", template));
}

/** The value without defaults; `type` in the codes of the struct table. */
function strip(type: string, value: unknown): unknown {
  const inner = type.slice(1);
  if (type[0] === "*") return strip(inner, value);
  if (Array.isArray(value)) return value.map((item) => strip(inner, item));
  if (!isObject(value) || type.length === 1) return value;
  if (type[0] === "{")
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, strip(inner, item)]));
  const entries = [...goFields(type)].flatMap(([key, fieldType]) => {
    const stripped = reduced(type, key, strip(fieldType, value[key]), value);
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
    case "PodSpec.serviceAccount":
      return value === owner.serviceAccountName;
    default:
      return Object.hasOwn(DEFAULTS, field) && value === DEFAULTS[field];
  }
}

/** What kubelets do with an image that says nothing else: always pull what has no tag, or the tag latest. */
function pullPolicyOf(image: unknown): string {
  if (typeof image !== "string") return "";
  const name = image.slice(image.lastIndexOf("/") + 1);
  const hasTag = /[:@]/.test(name);
  return !hasTag || name.endsWith(":latest") ? "Always" : "IfNotPresent";
}

/** Maps without what is implied: the hash label, requests that only repeat a limit. */
function reduced(struct: string, key: string, value: unknown, owner: JsonRecord): unknown {
  if (!isObject(value)) return value;
  const isHash = (name: string): boolean => name === POD_HASH_LABEL || name === DEPLOYMENT_POD_HASH_LABEL;
  if (struct === "ObjectMeta" && key === "labels") return without(value, isHash);
  const { limits } = owner;
  if (struct !== "ResourceRequirements" || key !== "requests" || !isObject(limits)) return value;
  return without(value, (name) => quantity(value[name]) === quantity(limits[name]));
}

function without(map: JsonRecord, isLeftOut: (key: string) => boolean): JsonRecord {
  return Object.fromEntries(Object.entries(map).filter(([key]) => !isLeftOut(key)));
}

function quantity(value: unknown): string | undefined {
  if (typeof value !== "string" && typeof value !== "number") return undefined;
  return canonicalQuantity(String(value));
}
