// What the decisions of a blue-green pass look at: who has the traffic, how large the new version should be, what it may go past.
// Facts and their names, nothing is decided here. Source: Argo: rollout/bluegreen.go isBlueGreenFastTracked, v1.9.
import { DESIRED_REPLICAS_ANNOTATION, type ReplicaSet, replicasOf } from "../../api/api.ts";
import { type Context, isPromoted } from "../context.ts";
import { availableOf, deadlineMsOf, isOnTrial, podHashOf } from "../pods/replicaset.ts";
import { isInRollbackWindow } from "../pods/rollbackwindow.ts";
import type { Stage } from "../stage.ts";
import { selectedBy } from "../traffic/services.ts";

export interface BlueGreenFacts {
  /** The version that the active Service selects; empty before the first switch. */
  readonly activeHash: string;
  readonly fastTrack: FastTrack | undefined;
  /** Pods that the wanted version should have now. */
  readonly size: number;
  /** It has them, and all are available. */
  readonly isReady: boolean;
  /** It can take all the traffic. */
  readonly isSaturated: boolean;
}

/** Why an update goes past its pause and the analysis before the switch. */
export type FastTrack =
  /** It leads back to the stable version. */
  | "stable"
  /** Back to a version whose pods are still up from its own time. */
  | "delay"
  | "window"
  /** The user asked for it. */
  | "full"
  /** No version has the traffic: the Service selects none yet, or one whose ReplicaSet is deleted. */
  | "first"
  /** It has the traffic. */
  | "active";

/** Those of this pass. */
export function blueGreenFacts(context: Context, stage: Stage): BlueGreenFacts {
  const activeHash = selectedBy(context.snapshot.services.active);
  const fastTrack = fastTrackOf(context, stage, activeHash);
  const size = fastTrack === undefined ? previewSize(context, stage) : context.replicas;
  return {
    activeHash,
    fastTrack,
    size,
    isReady: hasAll(context.roles.current, size),
    isSaturated: isSaturated(context, context.roles.current),
  };
}

/** The ReplicaSet of a version. */
export function ofVersion(context: Context, podHash: string): ReplicaSet | undefined {
  return podHash === "" ? undefined : context.roles.owned.find((item) => podHashOf(item) === podHash);
}

function fastTrackOf(context: Context, stage: Stage, activeHash: string): FastTrack | undefined {
  const { current } = context.roles;
  if (isPromoted(context)) return "stable";
  if (current !== undefined && isStillUp(current)) return "delay";
  if (isInRollbackWindow(context)) return "window";
  if (stage.promoteFull) return "full";
  if (!isServed(context, activeHash)) return "first";
  return activeHash === context.podHash ? "active" : undefined;
}

/** Up from its time as the stable version. What was aborted or given up has a time to go, too, and is tried again from the start; Argo lets it pass. */
function isStillUp(current: ReplicaSet): boolean {
  return replicasOf(current) > 0 && deadlineMsOf(current) !== undefined && !isOnTrial(current);
}

/** Whether a version before this one has the traffic, or can be given it. Of deleted ReplicaSets none comes back by itself. */
function isServed(context: Context, activeHash: string): boolean {
  if (activeHash === "") return false;
  const { stable, orphans } = context.roles;
  return [stable, ...orphans, ofVersion(context, activeHash)].some((replicaSet) => replicaSet !== undefined);
}

/** A preview has its own size until it has been looked at. A rollback has the whole at once; Argo lets it shrink to a preview first. */
function previewSize({ replicas, blueGreen }: Context, stage: Stage): number {
  return stage.isPreviewPassed ? replicas : (blueGreen.previewReplicaCount ?? replicas);
}

/** Rollout and ReplicaSet agree on how many pods there are to be, and all are available. */
function isSaturated({ replicas }: Context, replicaSet: ReplicaSet | undefined): boolean {
  const noted = replicaSet?.metadata.annotations?.[DESIRED_REPLICAS_ANNOTATION];
  return hasAll(replicaSet, replicas) && noted === String(replicas);
}

/** So many pods and no more, all available. */
function hasAll(replicaSet: ReplicaSet | undefined, size: number): boolean {
  return replicaSet !== undefined && replicasOf(replicaSet) === size && availableOf(replicaSet) === size;
}
