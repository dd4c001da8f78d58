// The size of a template's ReplicaSet: up to what the template wants, and down to nothing when the Experiment has ended, its delay is over and
// no proxy may still send requests to its pods.
import {
  EXPERIMENT_MESSAGES,
  type ExperimentTemplate,
  experimentScaleDownDelaySecondsOf,
  REASONS,
  type ReplicaSet,
  replicasOf,
  SCALE_DOWN_DEADLINE_ANNOTATION,
} from "../../api/api.ts";
import { formatTime } from "../../lib/time.ts";
import type { Action, AnnotationChanges } from "../plan.ts";
import { availableOf, deadlineMsOf, identityOf, podHashOf, versionOf } from "../pods/replicaset.ts";
import type { ExperimentContext } from "./context.ts";
import { type ExperimentPart, NO_PART } from "./plan.ts";
import { removeService } from "./service.ts";

/** Brings the ReplicaSet to `desired` pods. An Experiment that is retried finds it as it was left. */
export function planGrowth(
  template: ExperimentTemplate,
  replicaSet: ReplicaSet,
  desired: number,
): ExperimentPart {
  const minReadySeconds = template.minReadySeconds ?? 0;
  const isSameReadiness = (replicaSet.spec.minReadySeconds ?? 0) === minReadySeconds;
  const readiness = isSameReadiness ? {} : { minReadySeconds };
  const annotations: AnnotationChanges =
    deadlineMsOf(replicaSet) === undefined ? {} : { [SCALE_DOWN_DEADLINE_ANNOTATION]: null };
  const reason = `template ${template.name} wants ${desired}`;
  if (replicasOf(replicaSet) !== desired)
    return scaled(replicaSet, desired, { annotations, reason, ...readiness });
  if (isSameReadiness && Object.keys(annotations).length === 0) return NO_PART;
  const action: Action = {
    kind: "annotateReplicaSet",
    ...identityOf(replicaSet),
    annotations,
    ...readiness,
    reason: "the template runs",
  };
  return { ...NO_PART, actions: [action] };
}

/** Takes the ReplicaSet down, and then its Service. */
export function planShrinking(
  context: ExperimentContext,
  template: ExperimentTemplate,
  replicaSet: ReplicaSet,
): ExperimentPart {
  if (replicasOf(replicaSet) === 0) {
    const isEmpty = availableOf(replicaSet) === 0;
    const service = isEmpty ? context.services.get(template.name) : undefined;
    return { ...NO_PART, actions: removeService(service, `template ${template.name} has no pods any more`) };
  }
  const delayMs = experimentScaleDownDelaySecondsOf(context.experiment) * 1000;
  const why = "the Experiment has ended";
  return (
    planStay(context, template.name, replicaSet, { delayMs, why }) ??
    scaled(replicaSet, 0, { annotations: {}, reason: why })
  );
}

/** What keeps the template's pods up: their delay, and proxies that may still send to them, for the grace at most; undefined when they may go. */
export function planStay(
  context: ExperimentContext,
  template: string,
  replicaSet: ReplicaSet,
  { delayMs, why }: { readonly delayMs: number; readonly why: string },
): ExperimentPart | undefined {
  const { name } = replicaSet.metadata;
  // Requests only come to templates with a Service.
  const isRouted = context.services.has(template) && context.snapshot.routed.includes(podHashOf(replicaSet));
  const dueMs = deadlineMsOf(replicaSet);
  if (dueMs === undefined && (delayMs > 0 || isRouted)) {
    const endMs = context.nowMs + delayMs;
    const reason = `${why}; its pods stay for ${delayMs / 1000} s`;
    const annotations = { [SCALE_DOWN_DEADLINE_ANNOTATION]: formatTime(endMs) };
    const action: Action = { kind: "annotateReplicaSet", ...identityOf(replicaSet), annotations, reason };
    return { ...staying(name, endMs), actions: [action], requeueAtMs: [endMs] };
  }
  if (dueMs !== undefined && delayMs > 0 && context.nowMs < dueMs) return staying(name, dueMs);
  const graceMs = Math.max(0, context.snapshot.config.nodeGraceMs - delayMs);
  const overdueMs = (dueMs ?? context.nowMs) + graceMs;
  if (!isRouted || context.nowMs >= overdueMs) return undefined;
  const text = `proxies may still send to template ${template}`;
  const wait = { code: "acknowledgement", text, untilMs: overdueMs } as const;
  return { ...NO_PART, waits: [wait], requeueAtMs: [overdueMs] };
}

function staying(name: string, untilMs: number): ExperimentPart {
  const text = `ReplicaSet ${name} stays up until ${formatTime(untilMs)}`;
  return { ...NO_PART, waits: [{ code: "scaleDownDelay", text, untilMs }], requeueAtMs: [untilMs] };
}

function scaled(
  replicaSet: ReplicaSet,
  replicas: number,
  how: {
    readonly annotations: AnnotationChanges;
    readonly reason: string;
    readonly minReadySeconds?: number;
  },
): ExperimentPart {
  const from = replicasOf(replicaSet);
  const { name } = replicaSet.metadata;
  const direction = replicas > from ? "up" : "down";
  const action: Action = {
    kind: "scaleReplicaSet",
    ...identityOf(replicaSet),
    ...(direction === "down" ? { resourceVersion: versionOf(replicaSet) } : {}),
    from,
    replicas,
    ...how,
  };
  const message = EXPERIMENT_MESSAGES.scaled(direction, name, from, replicas);
  const of = { kind: action.kind, name } as const;
  return {
    ...NO_PART,
    actions: [action],
    events: [{ type: "Normal", reason: REASONS.scalingReplicaSet, message, of }],
  };
}
