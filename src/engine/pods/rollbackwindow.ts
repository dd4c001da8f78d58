// The rollback window: going back to a version that is not far behind the stable one needs no steps, pauses or analyses; it has had them.
// Source: Argo: rollout/sync.go isRollbackWithinWindow, v1.9.
import { EXPERIMENT_NAME_ANNOTATION, replicasOf } from "../../api/api.ts";
import type { Context } from "../context.ts";
import { createdMs } from "./replicaset.ts";

/** Whether the wanted version is older than the stable one by fewer versions than `spec.rollbackWindow.revisions`. */
export function isInRollbackWindow({ rollout, roles }: Context): boolean {
  const revisions = rollout.spec.rollbackWindow?.revisions ?? 0;
  const { current, stable, owned } = roles;
  if (revisions <= 0 || current === undefined || stable === undefined) return false;
  const [fromMs, toMs] = [createdMs(current), createdMs(stable)];
  if (fromMs >= toMs) return false;
  const between = owned.filter((item) => {
    const atMs = createdMs(item);
    const isExperiment = (item.metadata.annotations?.[EXPERIMENT_NAME_ANNOTATION] ?? "") !== "";
    return !isExperiment && fromMs < atMs && atMs < toMs;
  });
  return between.length < revisions;
}

/** Whether the way back is open at once: the version in the window still has pods, so that nothing is left to wait for but the traffic. */
export function canSkipSteps(context: Context): boolean {
  const { current } = context.roles;
  return current !== undefined && replicasOf(current) > 0 && isInRollbackWindow(context);
}
