// One write per object and pass: planners decide independently, and a second write to an object would fail on the version that the
// first one left behind.
import type { Action, AnnotateReplicaSet, ScaleReplicaSet } from "./plan.ts";

/** The same actions, with those on one ReplicaSet put together at the place of the last. */
export function oneWriteEach(actions: readonly Action[]): readonly Action[] {
  const merged: Action[] = [];
  for (const action of actions) {
    const at = merged.findIndex((earlier) => isSameReplicaSet(earlier, action));
    const earlier = merged[at];
    if (earlier?.kind === "annotateReplicaSet" && isUpdate(action)) {
      merged.splice(at, 1);
      merged.push(together(earlier, action));
    } else merged.push(action);
  }
  return merged;
}

type Update = AnnotateReplicaSet | ScaleReplicaSet;

function isUpdate(action: Action): action is Update {
  return action.kind === "annotateReplicaSet" || action.kind === "scaleReplicaSet";
}

function isSameReplicaSet(a: Action, b: Action): boolean {
  return isUpdate(a) && isUpdate(b) && a.name === b.name;
}

function together(earlier: AnnotateReplicaSet, later: Update): Update {
  const { minReadySeconds, template } = { ...earlier, ...later };
  return {
    ...later,
    ...(minReadySeconds !== undefined && { minReadySeconds }),
    ...(template !== undefined && { template }),
    annotations: { ...earlier.annotations, ...later.annotations },
    reason: later.kind === "scaleReplicaSet" ? later.reason : `${earlier.reason}; ${later.reason}`,
  };
}
