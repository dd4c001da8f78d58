// READY, STATUS and RESTARTS of a pod in kubectl's table. Pure. Source: Kubernetes pkg/printers/internalversion printPod.
import type { KubeObject } from "../../api/api.ts";
import { humanDuration } from "../../lib/duration.ts";
import { isObject } from "../../lib/json.ts";
import { fieldAt, type Json, listAt, numberAt, stringAt } from "./fields.ts";

/** Ready containers of all, native sidecars included. */
export function podReady(pod: KubeObject): string {
  const sidecars = sidecarNames(pod);
  const statuses = [
    ...statusesOf(pod, "containerStatuses"),
    ...statusesOf(pod, "initContainerStatuses").filter((status) => sidecars.has(status.name)),
  ];
  const total = listAt(pod, "spec.containers").length + sidecars.size;
  const ready = statuses.filter(
    (status) => status.ready === true && fieldAt(status, "state.running") !== undefined,
  );
  return `${ready.length}/${total}`;
}

/** How often the containers were restarted, and when last. */
export function podRestarts(pod: KubeObject, nowMs: number): string {
  const sidecars = sidecarNames(pod);
  const init = statusesOf(pod, "initContainerStatuses");
  const isInitializing = initReason(pod, sidecars) !== undefined;
  const counted = isInitializing
    ? init
    : [...statusesOf(pod, "containerStatuses"), ...init.filter((status) => sidecars.has(status.name))];
  const count = counted.reduce((sum, status) => sum + (numberAt(status, "restartCount") ?? 0), 0);
  const ends = counted.map((status) => Date.parse(stringAt(status, "lastState.terminated.finishedAt") ?? ""));
  const lastMs = Math.max(...ends.filter((atMs) => !Number.isNaN(atMs)), 0);
  return count === 0 || lastMs === 0 ? String(count) : `${count} (${humanDuration(nowMs - lastMs)} ago)`;
}

/** The one word for a pod's state. */
export function podStatus(pod: KubeObject): string {
  const phase = stringAt(pod, "status.reason") ?? stringAt(pod, "status.phase") ?? "Unknown";
  const reason = initReason(pod, sidecarNames(pod)) ?? containerReason(pod, phase);
  if (pod.metadata.deletionTimestamp === undefined) return reason;
  if (stringAt(pod, "status.reason") === "NodeLost") return "Unknown";
  return phase === "Succeeded" || phase === "Failed" ? reason : "Terminating";
}

function containerReason(pod: KubeObject, phase: string): string {
  let reason = phase;
  let isAnyRunning = false;
  for (const status of [...statusesOf(pod, "containerStatuses")].reverse()) {
    const waiting = stringAt(status, "state.waiting.reason") ?? "";
    if (waiting !== "") reason = waiting;
    else if (fieldAt(status, "state.terminated") !== undefined) reason = terminatedReason(status);
    else if (status.ready === true && fieldAt(status, "state.running") !== undefined) isAnyRunning = true;
  }
  if (reason === "Completed" && isAnyRunning) return isReady(pod) ? "Running" : "NotReady";
  return reason;
}

/** `Init:…` while init containers are at work; undefined once they are done. */
function initReason(pod: KubeObject, sidecars: ReadonlySet<unknown>): string | undefined {
  const statuses = statusesOf(pod, "initContainerStatuses");
  const total = listAt(pod, "spec.initContainers").length;
  for (const [index, status] of statuses.entries()) {
    const terminated = fieldAt(status, "state.terminated");
    if (isObject(terminated) && terminated.exitCode === 0) continue;
    if (sidecars.has(status.name) && status.started === true) continue;
    if (isObject(terminated)) return `Init:${terminatedReason(status)}`;
    const waiting = stringAt(status, "state.waiting.reason") ?? "";
    if (waiting !== "" && waiting !== "PodInitializing") return `Init:${waiting}`;
    return `Init:${index}/${total}`;
  }
  return undefined;
}

function terminatedReason(status: Json): string {
  const reason = stringAt(status, "state.terminated.reason") ?? "";
  if (reason !== "") return reason;
  const signal = numberAt(status, "state.terminated.signal") ?? 0;
  return signal !== 0 ? `Signal:${signal}` : `ExitCode:${numberAt(status, "state.terminated.exitCode") ?? 0}`;
}

function isReady(pod: KubeObject): boolean {
  return listAt(pod, "status.conditions").some(
    (item) => isObject(item) && item.type === "Ready" && item.status === "True",
  );
}

function sidecarNames(pod: KubeObject): ReadonlySet<unknown> {
  const sidecars = listAt(pod, "spec.initContainers").filter(
    (container) => isObject(container) && container.restartPolicy === "Always",
  );
  return new Set(sidecars.map((container) => fieldAt(container, "name")));
}

function statusesOf(pod: KubeObject, field: string): readonly Json[] {
  return listAt(pod, `status.${field}`).filter(isObject);
}
