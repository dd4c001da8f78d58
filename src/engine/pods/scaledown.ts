// One ReplicaSet's next size with its reason, and the rule of every scale-down: no pod goes that a proxy may still send to.
import { type ReplicaSet, replicasOf, SCALE_DOWN_DEADLINE_ANNOTATION } from "../../api/api.ts";
import { formatTime } from "../../lib/time.ts";
import type { Context } from "../context.ts";
import type { AnnotationChanges, Wait } from "../plan.ts";
import type { Mode, Stage } from "../stage.ts";
import { type InForce, podsToKeep, type TrafficWishes } from "../traffic/inforce.ts";
import { deadlineMsOf, podHashOf } from "./replicaset.ts";

export interface ScalingWishes extends TrafficWishes {
  readonly mode: Mode;
  readonly stage: Stage;
  /** Versions that Services select once this pass is done. */
  readonly selected: ReadonlySet<string>;
}

/** One ReplicaSet and what is to become of it. */
export interface Sizing {
  readonly replicaSet: ReplicaSet;
  readonly replicas: number;
  readonly annotations?: AnnotationChanges;
  readonly reason: string;
  /** Proxies hold pods back: nobody notes yet that it was scaled for spec.replicas, so that a halted update scales it once they have answered. */
  readonly isHeld?: boolean;
  readonly wait?: Wait;
  readonly warning?: string;
  readonly requeueAtMs?: number;
}

/** A version that nothing needs any more goes to 0, as soon as nothing may send to it. */
export function emptied(
  context: Context,
  wishes: ScalingWishes,
  replicaSet: ReplicaSet,
  reason: string,
): Sizing {
  const hash = podHashOf(replicaSet);
  const from = replicasOf(replicaSet);
  if (wishes.selected.has(hash)) {
    const text = `a Service still selects version ${hash}`;
    return { replicaSet, replicas: from, reason, wait: { code: "scaleDownDelay", text } };
  }
  const keep = podsToKeep(context, wishes, hash);
  const size = Math.min(from, keep.pods);
  // Source: Argo: rollout/sync.go scaleReplicaSet, v1.9: the time until which it was to stay up goes with the last pod.
  const isOver = size === 0 && deadlineMsOf(replicaSet) !== undefined;
  const annotations = isOver ? { annotations: { [SCALE_DOWN_DEADLINE_ANNOTATION]: null } } : {};
  return { replicaSet, replicas: size, ...annotations, reason, ...heldBack(wishes.inForce, size > 0, keep) };
}

/** The wait for the end of a delay. */
export function delayWait(replicaSet: ReplicaSet, untilMs: number): Wait {
  const text = `ReplicaSet ${replicaSet.metadata.name} stays up until ${formatTime(untilMs)}`;
  return { code: "scaleDownDelay", text, untilMs };
}

/** Why pods are kept, or that they are taken although proxies are silent. */
export function heldBack(
  inForce: InForce,
  isHeld: boolean,
  keep: { readonly isOverdue: boolean },
): Pick<Sizing, "isHeld" | "wait" | "warning" | "requeueAtMs"> {
  if (inForce.kind !== "no") return {};
  if (keep.isOverdue)
    return {
      warning: `scales down although ${inForce.words}`,
    };
  if (!isHeld) return {};
  const { overdueAtMs: requeueAtMs } = inForce;
  const wait: Wait = {
    code: "acknowledgement",
    text: `keeps pods: ${inForce.words}`,
  };
  return requeueAtMs === undefined
    ? { isHeld, wait }
    : { isHeld, wait: { ...wait, untilMs: requeueAtMs }, requeueAtMs };
}
