// A Rollout that takes its pods from a Deployment: what of the Deployment is told on the Rollout, and how the Deployment's own pods go
// once the Rollout's serve. Source: Argo: rollout/templateref.go, sync.go promoteStable and replicaset.go reconcileNewReplicaSet, v1.9.
import { CONDITION_TYPES, replicasOf, WORKLOAD_GENERATION_ANNOTATION } from "../../api/api.ts";
import { type Context, isPromoted } from "../context.ts";
import type { Decision } from "../decision.ts";
import type { Action, AnnotationChanges, Wait } from "../plan.ts";
import { conditionOf } from "../status/conditions.ts";

/** Why the workload cannot be used; undefined when it can, or when there is none. */
export function workloadProblem({ snapshot }: Context): string | undefined {
  const { reference } = snapshot.workload;
  return reference?.kind === "missing" ? reference.words : undefined;
}

/** The generation of the workload that the pod template was taken from; undefined without a workload. */
export function workloadGeneration({ snapshot }: Pick<Context, "snapshot">): string | undefined {
  const { reference } = snapshot.workload;
  return reference?.kind === "found" ? reference.generation : undefined;
}

/** The annotation by which clients tell whether the status has caught up with the workload. */
export function workloadAnnotation(context: Context): AnnotationChanges {
  const seen = context.rollout.metadata.annotations?.[WORKLOAD_GENERATION_ANNOTATION];
  const wanted = workloadGeneration(context);
  return seen === wanted ? {} : { [WORKLOAD_GENERATION_ANNOTATION]: wanted ?? null };
}

export interface MigrationPlan {
  readonly actions: readonly Action[];
  readonly waits: readonly Wait[];
}

/**
 * Takes the Deployment's pods down as `workloadRef.scaleDown` says, on the first revision only: afterwards the Deployment is its owner's again.
 * `progressively` also gives pods back to it when the Rollout's are lost before it was healthy.
 */
export function planMigration(context: Context, decision: Decision, revision: number): MigrationPlan {
  const { reference } = context.snapshot.workload;
  const mode = context.rollout.spec.workloadRef?.scaleDown;
  const nothing = { actions: [], waits: [] };
  if (reference?.kind !== "found" || reference.replicas === undefined || revision !== 1) return nothing;
  if (mode !== "onsuccess" && mode !== "progressively") return nothing;
  const { replicas: from, name, uid } = reference;
  const isDone = context.status.phase === "Healthy" && isPromoted(context);
  const to = isDone ? 0 : mode === "progressively" ? share(context, decision) : undefined;
  const text = `Deployment ${name} runs ${to ?? from} pods until the Rollout is healthy`;
  const waits: readonly Wait[] = isDone || from === 0 ? [] : [{ code: "replicas", text }];
  if (to === undefined || to === from) return { actions: [], waits };
  const reason = isDone ? "the Rollout has taken over" : `the Rollout has ${readyOf(context)} ready pods`;
  const { namespace } = context;
  return { actions: [{ kind: "scaleWorkload", namespace, name, uid, from, replicas: to, reason }], waits };
}

/**
 * What the Rollout's ready pods leave to the Deployment; undefined while neither the Rollout nor its ReplicaSet has moved, and once the Rollout has
 * been healthy: its pods are its own matter then.
 */
function share(context: Context, decision: Decision): number | undefined {
  if (conditionOf(context.status.conditions, CONDITION_TYPES.healthy) !== undefined) return undefined;
  const isShrinking = decision.actions.some(
    (action) =>
      action.kind === "scaleReplicaSet" &&
      action.name === context.roles.current?.metadata.name &&
      action.replicas < action.from,
  );
  if (readyOf(context) === 0 && !isShrinking) return undefined;
  return Math.max(0, replicasOf(context.rollout) - readyOf(context));
}

function readyOf({ status }: Context): number {
  return status.readyReplicas ?? 0;
}
