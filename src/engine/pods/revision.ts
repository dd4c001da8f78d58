// The ReplicaSet of the wanted version and the revision numbers: creates or adopts, counts, and keeps what the ReplicaSet carries of
// the Rollout in step. Source: Argo: rollout/sync.go getAllReplicaSetsAndSyncRevision, v1.9.
import {
  MESSAGES,
  POD_HASH_LABEL,
  REASONS,
  REVISION_ANNOTATION,
  REVISION_HISTORY_ANNOTATION,
  type ReplicaSet,
  replicasOf,
  revisionHistoryLimitOf,
} from "../../api/api.ts";
import { type Context, replicaSetName } from "../context.ts";
import type { Action, PlannedEvent, Wait } from "../plan.ts";
import { selectedBy } from "../traffic/services.ts";
import { inheritedAnnotations, newReplicaSet, ownerReference } from "./newreplicaset.ts";
import { byAge, identityOf, podHashOf, revisionOf, versionOf } from "./replicaset.ts";
import { workloadAnnotation } from "./workload.ts";

export type RevisionPlan =
  /** The name is taken by somebody else: another salt gives another name. */
  | { readonly kind: "collision"; readonly collisionCount: number }
  /** Something has to exist first; the rest of the pass waits for it. */
  | {
      readonly kind: "preparing";
      readonly revision: number;
      readonly steps: RevisionSteps;
      readonly isNew: boolean;
      /** Why the API does not let it exist. */
      readonly refused?: string;
      readonly waits?: readonly Wait[];
    }
  | { readonly kind: "ready"; readonly revision: number; readonly steps: RevisionSteps };

export interface RevisionSteps {
  readonly actions: readonly Action[];
  readonly events: readonly PlannedEvent[];
}

/** What it takes to have the wanted version under its right revision. */
export function planRevision(context: Context): RevisionPlan {
  const { roles } = context;
  const older = roles.owned.filter((replicaSet) => replicaSet !== roles.current);
  const newest = Math.max(0, ...older.map(revisionOf));
  if (roles.orphans.length > 0) {
    const actions = roles.orphans.map((replicaSet) => adopt(context, replicaSet));
    return { kind: "preparing", revision: newest, steps: { actions, events: [] }, isNew: false };
  }
  if (roles.current === undefined) return planNew(context, newest + 1);
  const revision = Math.max(revisionOf(roles.current), newest + 1);
  const noted = noteRevision(context, revision);
  const synced = syncReplicaSet(context, roles.current, revision);
  return {
    kind: "ready",
    revision,
    steps: { actions: [...noted.actions, ...synced], events: noted.events },
  };
}

/** Deletes ReplicaSets without pods beyond the history limit, oldest first; not the one that is to answer for a blue-green Rollout. */
export function planHistory(context: Context): readonly Action[] {
  const activeHash = selectedBy(context.snapshot.services.active);
  const isEmpty = (replicaSet: ReplicaSet): boolean =>
    podHashOf(replicaSet) !== activeHash &&
    replicasOf(replicaSet) === 0 &&
    replicaSet.status.replicas === 0 &&
    (replicaSet.status.observedGeneration ?? 0) >= (replicaSet.metadata.generation ?? 0);
  const { others } = context.roles;
  const surplus = others.length - revisionHistoryLimitOf(context.rollout);
  if (surplus <= 0) return [];
  const oldestFirst = [...others].sort((a, b) => revisionOf(a) - revisionOf(b) || byAge(a, b));
  return oldestFirst
    .slice(0, surplus)
    .filter(isEmpty)
    .map((replicaSet) => ({
      kind: "deleteReplicaSet",
      ...identityOf(replicaSet),
      resourceVersion: versionOf(replicaSet),
      reason: "this revision is beyond the history limit",
    }));
}

function planNew(context: Context, revision: number): RevisionPlan {
  const { blocker } = context.roles;
  if (blocker !== undefined) {
    const isGoing = blocker.metadata.deletionTimestamp !== undefined;
    if (isGoing) {
      const text = `ReplicaSet ${blocker.metadata.name} of before is on its way out: its name is needed`;
      const waits: readonly Wait[] = [{ code: "replicas", text }];
      return { kind: "preparing", revision, steps: { actions: [], events: [] }, isNew: false, waits };
    }
    return { kind: "collision", collisionCount: (context.collisionCount ?? 0) + 1 };
  }
  const name = replicaSetName(context.name, context.podHash);
  const { refused = [] } = context.snapshot.workload;
  const refusal = refused.find((write) => write.kind === "ReplicaSet" && write.name === name);
  if (refusal !== undefined) {
    const nothing = { actions: [], events: [] };
    return { kind: "preparing", revision, steps: nothing, isNew: false, refused: refusal.message };
  }
  const noted = noteRevision(context, revision);
  const create: Action = {
    kind: "createReplicaSet",
    namespace: context.namespace,
    name,
    object: newReplicaSet(context, revision),
    reason: `revision ${revision} has no ReplicaSet yet`,
  };
  const created: PlannedEvent = {
    type: "Normal",
    reason: REASONS.newReplicaSetCreated,
    message: MESSAGES.createdReplicaSet(name, revision),
    of: { kind: "createReplicaSet", name },
  };
  return {
    kind: "preparing",
    revision,
    isNew: true,
    // Created first: the pods begin one round trip sooner. The events keep Argo's order.
    steps: { actions: [create, ...noted.actions], events: [...noted.events, created] },
  };
}

/** The revision, and the generation of the workload, on the Rollout itself. */
function noteRevision(context: Context, revision: number): RevisionSteps {
  const noted = context.rollout.metadata.annotations?.[REVISION_ANNOTATION];
  const isNoted = noted === String(revision);
  const annotations = {
    ...(isNoted ? {} : { [REVISION_ANNOTATION]: String(revision) }),
    ...workloadAnnotation(context),
  };
  if (Object.keys(annotations).length === 0) return { actions: [], events: [] };
  const { namespace, name, uid } = context;
  const reason = isNoted ? "the workload has changed" : `this is revision ${revision}`;
  const actions: readonly Action[] = [{ kind: "annotateRollout", namespace, name, uid, annotations, reason }];
  if (isNoted) return { actions, events: [] };
  return {
    actions,
    events: [
      {
        type: "Normal",
        reason: REASONS.rolloutUpdated,
        message: MESSAGES.rolloutUpdated(revision),
        of: { kind: "annotateRollout", name },
      },
    ],
  };
}

/** Revision, its history, the Rollout's annotations and minReadySeconds on the ReplicaSet. */
function syncReplicaSet(context: Context, replicaSet: ReplicaSet, revision: number): readonly Action[] {
  const seen = replicaSet.metadata.annotations ?? {};
  const wanted: Record<string, string> = {
    ...inheritedAnnotations(context),
    [REVISION_ANNOTATION]: String(revision),
  };
  const before = seen[REVISION_ANNOTATION];
  if (before !== undefined && before !== String(revision)) {
    const history = seen[REVISION_HISTORY_ANNOTATION];
    wanted[REVISION_HISTORY_ANNOTATION] =
      history === undefined || history === "" ? before : `${history},${before}`;
  }
  const annotations = Object.fromEntries(
    Object.entries(wanted).filter(([key, value]) => seen[key] !== value),
  );
  const minReadySeconds = context.rollout.spec.minReadySeconds ?? 0;
  const isSameReadiness = (replicaSet.spec.minReadySeconds ?? 0) === minReadySeconds;
  if (Object.keys(annotations).length === 0 && isSameReadiness) return [];
  return [
    {
      kind: "annotateReplicaSet",
      ...identityOf(replicaSet),
      annotations,
      ...(isSameReadiness ? {} : { minReadySeconds }),
      reason: `carry revision ${revision} and the Rollout's annotations`,
    },
  ];
}

function adopt(context: Context, replicaSet: ReplicaSet): Action {
  return {
    kind: "adoptReplicaSet",
    ...identityOf(replicaSet),
    resourceVersion: versionOf(replicaSet),
    ownerReferences: [...(replicaSet.metadata.ownerReferences ?? []), ownerReference(context)],
    reason: `the selector matches it and nobody controls it (${POD_HASH_LABEL} ${podHashOf(replicaSet)})`,
  };
}
