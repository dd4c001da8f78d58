// The columns in which kubectl shows each kind: those of Kubernetes' printers and of Argo's CRDs. Pure; cells are what is printed.
import { type KubeObject, readReplicaSet, selectorText } from "../../api/api.ts";
import { humanDuration } from "../../lib/duration.ts";
import { isObject } from "../../lib/json.ts";
import { fieldAt, listAt, numberAt, objectAt, stringAt } from "./fields.ts";
import type { Kind } from "./kinds.ts";
import { podReady, podRestarts, podStatus } from "./podcells.ts";

export interface Column {
  readonly name: string;
  readonly type: "string" | "integer";
  readonly format: string;
  readonly description: string;
  /** 1: only with -o wide. */
  readonly priority: 0 | 1;
  cell(object: KubeObject, nowMs: number): unknown;
}

type Cell = Column["cell"];

const NAME: Column = { ...column("Name", (object) => object.metadata.name), format: "name" };
const AGE = column("Age", (object, nowMs) => age(object.metadata.creationTimestamp, nowMs));
const at = (path: string, absent: unknown = ""): Cell => {
  return (object) => fieldAt(object, path) ?? absent;
};

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  pods: [
    NAME,
    column("Ready", podReady),
    column("Status", podStatus),
    column("Restarts", podRestarts),
    AGE,
    wide("IP", at("status.podIP", "<none>")),
    wide("Node", at("spec.nodeName", "<none>")),
    wide("Nominated Node", at("status.nominatedNodeName", "<none>")),
    wide("Readiness Gates", () => "<none>"),
  ],
  "apps/replicasets": [
    NAME,
    integer("Desired", at("spec.replicas", 0)),
    integer("Current", at("status.replicas", 0)),
    integer("Ready", at("status.readyReplicas", 0)),
    AGE,
    wide("Containers", (object) => containersOf(object, "name")),
    wide("Images", (object) => containersOf(object, "image")),
    wide("Selector", (object) => selectorText(readReplicaSet(object).value.spec.selector)),
  ],
  services: [
    NAME,
    column("Type", at("spec.type", "ClusterIP")),
    column("Cluster-IP", at("spec.clusterIP", "<none>")),
    column("External-IP", externalIp),
    column("Port(s)", servicePorts),
    AGE,
    wide("Selector", (object) => labelsText(objectAt(object, "spec.selector"))),
  ],
  configmaps: [NAME, integer("Data", dataCount), AGE],
  secrets: [NAME, column("Type", at("type")), integer("Data", dataCount), AGE],
  namespaces: [NAME, column("Status", at("status.phase")), AGE],
  nodes: [
    NAME,
    column("Status", nodeStatus),
    column("Roles", () => "<none>"),
    AGE,
    column("Version", at("status.nodeInfo.kubeletVersion")),
    wide("Internal-IP", (object) => nodeAddress(object, "InternalIP")),
    wide("External-IP", (object) => nodeAddress(object, "ExternalIP")),
    wide("OS-Image", at("status.nodeInfo.osImage", "<unknown>")),
    wide("Kernel-Version", at("status.nodeInfo.kernelVersion", "<unknown>")),
    wide("Container-Runtime", at("status.nodeInfo.containerRuntimeVersion", "<unknown>")),
  ],
  events: [
    column("Last Seen", lastSeen),
    column("Type", at("type")),
    column("Reason", at("reason")),
    column("Object", involved),
    wide("Subobject", at("involvedObject.fieldPath")),
    wide("Source", at("source.component")),
    column("Message", (object) => stringAt(object, "message")?.trim() ?? ""),
    wide("First Seen", (object, nowMs) => age(stringAt(object, "firstTimestamp"), nowMs)),
    wide("Count", at("count", 1)),
    wide("Name", (object) => object.metadata.name),
  ],
  "discovery.k8s.io/endpointslices": [
    NAME,
    column("AddressType", at("addressType")),
    column("Ports", (object) =>
      shortList(
        listAt(object, "ports").map((port) => fieldAt(port, "port") ?? "*"),
        "<unset>",
      ),
    ),
    column("Endpoints", (object) =>
      shortList(
        listAt(object, "endpoints").flatMap((endpoint) => listAt(endpoint, "addresses")),
        "<unset>",
      ),
    ),
    AGE,
  ],
  "coordination.k8s.io/leases": [NAME, column("Holder", at("spec.holderIdentity")), AGE],
  "argoproj.io/rollouts": [
    NAME,
    integer("Desired", at("spec.replicas")),
    integer("Current", at("status.replicas")),
    integer("Up-to-date", at("status.updatedReplicas")),
    integer("Available", at("status.availableReplicas")),
    AGE,
  ],
  "argoproj.io/analysisruns": [NAME, column("Status", at("status.phase")), AGE],
  "argoproj.io/experiments": [NAME, column("Status", at("status.phase")), AGE],
  "gateway.networking.k8s.io/gateways": [
    NAME,
    column("Class", at("spec.gatewayClassName")),
    column("Address", (object) => fieldAt(listAt(object, "status.addresses")[0], "value") ?? ""),
    column("Programmed", (object) => condition(object, "Programmed") ?? ""),
    AGE,
  ],
  "gateway.networking.k8s.io/httproutes": [
    NAME,
    column("Hostnames", (object) => {
      const hostnames = listAt(object, "spec.hostnames");
      return hostnames.length > 0 ? JSON.stringify(hostnames) : "";
    }),
    AGE,
  ],
};

/** The columns of a kind; name and age where it has no others. */
export function columnsOf(kind: Kind): readonly Column[] {
  return COLUMNS[kind.id] ?? [NAME, AGE];
}

/** How long ago an RFC 3339 time was, as kubectl prints it. */
export function age(time: string | undefined, nowMs: number): string {
  const atMs = Date.parse(time ?? "");
  return Number.isNaN(atMs) ? "<unknown>" : humanDuration(nowMs - atMs);
}

function column(name: string, cell: Cell, type: Column["type"] = "string", priority: 0 | 1 = 0): Column {
  return { name, type, format: "", description: name, priority, cell };
}

function integer(name: string, cell: Cell): Column {
  return column(name, cell, "integer");
}

function wide(name: string, cell: Cell): Column {
  return column(name, cell, "string", 1);
}

function containersOf(object: KubeObject, field: string): string {
  return listAt(object, "spec.template.spec.containers")
    .map((container) => stringAt(container, field) ?? "")
    .join(",");
}

function labelsText(labels: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${String(value)}`);
  return pairs.length > 0 ? pairs.sort().join(",") : "<none>";
}

function externalIp(object: KubeObject): string {
  if (stringAt(object, "spec.type") === "ExternalName")
    return stringAt(object, "spec.externalName") ?? "<none>";
  const ips = listAt(object, "spec.externalIPs");
  return ips.length > 0 ? ips.join(",") : "<none>";
}

function servicePorts(object: KubeObject): string {
  const ports = listAt(object, "spec.ports").map((port) => {
    const nodePort = numberAt(port, "nodePort");
    const outer = nodePort === undefined ? "" : `:${nodePort}`;
    return `${String(fieldAt(port, "port"))}${outer}/${stringAt(port, "protocol") ?? "TCP"}`;
  });
  return ports.length > 0 ? ports.join(",") : "<none>";
}

function dataCount(object: KubeObject): number {
  return Object.keys(objectAt(object, "data")).length + Object.keys(objectAt(object, "binaryData")).length;
}

function condition(object: KubeObject, type: string): string | undefined {
  const found = listAt(object, "status.conditions").find((item) => isObject(item) && item.type === type);
  return stringAt(found, "status");
}

function nodeStatus(object: KubeObject): string {
  const ready = condition(object, "Ready");
  const words = ready === undefined ? "Unknown" : ready === "True" ? "Ready" : "NotReady";
  return fieldAt(object, "spec.unschedulable") === true ? `${words},SchedulingDisabled` : words;
}

function nodeAddress(object: KubeObject, type: string): string {
  const found = listAt(object, "status.addresses").find((item) => isObject(item) && item.type === type);
  return stringAt(found, "address") ?? "<none>";
}

function lastSeen(object: KubeObject, nowMs: number): string {
  const last =
    stringAt(object, "lastTimestamp") ?? stringAt(object, "eventTime") ?? object.metadata.creationTimestamp;
  return age(last, nowMs);
}

function involved(object: KubeObject): string {
  return `${(stringAt(object, "involvedObject.kind") ?? "").toLowerCase()}/${stringAt(object, "involvedObject.name") ?? ""}`;
}

/** At most three items and how many more there are. */
function shortList(items: readonly unknown[], empty: string): string {
  if (items.length === 0) return empty;
  const shown = items.slice(0, 3).map(String).join(",");
  return items.length > 3 ? `${shown} + ${items.length - 3} more...` : shown;
}
