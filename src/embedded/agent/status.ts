// The status that a kubelet writes for a pod, from the states of its containers. Pure.
// Source of phase and conditions: Kubernetes pkg/kubelet/kubelet_pods.go getPhase, status/generate.go.

import { formatTime } from "../../lib/time.ts";
import type { ContainerStatus, Pod, PodCondition, PodPhase, PodStatus } from "./podspec.ts";

export interface StatusInput {
  readonly pod: Pod;
  readonly hostIp: string;
  /** Undefined until the pod has one. */
  readonly podIp: string | undefined;
  readonly startedAtMs: number;
  readonly initStatuses: readonly ContainerStatus[];
  readonly statuses: readonly ContainerStatus[];
}

/** The whole status to write. Conditions that others own stay; a transition time moves only when the status does. */
export function podStatus(input: StatusInput, nowMs: number): PodStatus {
  const { pod, podIp } = input;
  const phase = phaseOf(input);
  const initialized = areInitsDone(input);
  const isFinished = phase === "Succeeded" || phase === "Failed";
  const unready = input.statuses.filter(({ ready }) => !ready).map(({ name }) => name);
  const notReady = readyReason(phase, unready);
  const gates = (pod.spec.readinessGates ?? []).filter(
    ({ conditionType }) =>
      pod.status.conditions?.find(({ type }) => type === conditionType)?.status !== "True",
  );
  const ready: Fact =
    notReady ??
    (gates.length === 0
      ? { isTrue: true }
      : {
          isTrue: false,
          reason: "ReadinessGatesNotReady",
          message: `corresponding condition of pod readiness gate ${JSON.stringify(gates[0]?.conditionType)} is not True`,
        });
  const owned: readonly (readonly [string, Fact])[] = [
    ["PodScheduled", { isTrue: true }],
    ["Initialized", initializedFact(input, initialized, isFinished)],
    ["ContainersReady", notReady ?? { isTrue: true }],
    ["Ready", ready],
  ];
  return {
    phase,
    conditions: mergeConditions(pod, owned, nowMs),
    hostIP: input.hostIp,
    hostIPs: [{ ip: input.hostIp }],
    ...(podIp === undefined ? {} : { podIP: podIp, podIPs: [{ ip: podIp }] }),
    startTime: pod.status.startTime ?? formatTime(input.startedAtMs),
    ...(input.initStatuses.length > 0 ? { initContainerStatuses: input.initStatuses } : {}),
    containerStatuses: input.statuses,
    qosClass: pod.status.qosClass ?? "BestEffort",
  };
}

interface Fact {
  readonly isTrue: boolean;
  readonly reason?: string;
  readonly message?: string;
}

function areInitsDone({ pod, initStatuses }: StatusInput): boolean {
  return (pod.spec.initContainers ?? []).every((container, index) => {
    const status = initStatuses[index];
    return container.restartPolicy === "Always"
      ? status?.started === true
      : status?.state.terminated?.exitCode === 0;
  });
}

function phaseOf(input: StatusInput): PodPhase {
  const policy = input.pod.spec.restartPolicy ?? "Always";
  const initFailed = input.initStatuses.some(({ state }, index) => {
    const isSidecar = input.pod.spec.initContainers?.[index]?.restartPolicy === "Always";
    return !isSidecar && state.terminated !== undefined && state.terminated.exitCode !== 0;
  });
  if (initFailed && policy === "Never") return "Failed";
  const hasBegun = input.statuses.some(({ state }) => state.waiting === undefined);
  if (!areInitsDone(input) && !hasBegun) return "Pending";
  const count = { waiting: 0, running: 0, stopped: 0, succeeded: 0 };
  for (const { state, lastState } of input.statuses) {
    if (state.running !== undefined) count.running += 1;
    else if (state.terminated !== undefined) {
      count.stopped += 1;
      if (state.terminated.exitCode === 0) count.succeeded += 1;
    } else if (lastState.terminated !== undefined) count.stopped += 1;
    else count.waiting += 1;
  }
  if (count.waiting > 0) return "Pending";
  if (count.running > 0 || policy === "Always") return "Running";
  if (count.stopped === count.succeeded) return "Succeeded";
  return policy === "Never" ? "Failed" : "Running";
}

function readyReason(phase: PodPhase, unready: readonly string[]): Fact | undefined {
  if (phase === "Succeeded") return { isTrue: false, reason: "PodCompleted" };
  if (phase === "Failed") return { isTrue: false, reason: "PodFailed" };
  if (unready.length === 0) return undefined;
  const message = `containers with unready status: [${unready.join(" ")}]`;
  return { isTrue: false, reason: "ContainersNotReady", message };
}

function initializedFact(input: StatusInput, isDone: boolean, isFinished: boolean): Fact {
  if (isDone) return { isTrue: true, ...(isFinished ? { reason: "PodCompleted" } : {}) };
  const names = (input.pod.spec.initContainers ?? [])
    .filter((_container, index) => input.initStatuses[index]?.state.terminated?.exitCode !== 0)
    .map(({ name }) => name);
  const message = `containers with incomplete status: [${names.join(" ")}]`;
  return { isTrue: false, reason: "ContainersNotInitialized", message };
}

function mergeConditions(
  pod: Pod,
  owned: readonly (readonly [string, Fact])[],
  nowMs: number,
): readonly PodCondition[] {
  const earlier = pod.status.conditions ?? [];
  const mine = owned.map(([type, fact]): PodCondition => {
    const status = fact.isTrue ? "True" : "False";
    const before = earlier.find((condition) => condition.type === type);
    return {
      type,
      status,
      ...(fact.reason === undefined ? {} : { reason: fact.reason }),
      ...(fact.message === undefined ? {} : { message: fact.message }),
      lastProbeTime: null,
      lastTransitionTime:
        before?.status === status ? (before.lastTransitionTime ?? formatTime(nowMs)) : formatTime(nowMs),
    };
  });
  const names = new Set(owned.map(([type]) => type));
  return [...mine, ...earlier.filter(({ type }) => !names.has(type))];
}
