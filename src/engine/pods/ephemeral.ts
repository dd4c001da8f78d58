// What a version's pods carry for the role that it has now: the strategy's metadata for its role (canaryMetadata, stableMetadata,
// previewMetadata, activeMetadata) and the anti-affinity rule. New pods get it from their ReplicaSet's template, living ones are patched; when
// the role changes the old role's keys go. A ReplicaSet remembers in an annotation all that may still be on its template or on any of its
// pods: so a crash between two writes leaves nothing behind that nobody knows. Source: Argo: rollout/ephemeralmetadata.go, v1.9, which
// forgets the old keys with the first of these writes.
import {
  controllerOf,
  EPHEMERAL_METADATA_ANNOTATION,
  injectedMetadata,
  type Pod,
  type ReplicaSet,
  type RoleMetadata,
  rememberedMetadata,
} from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { asObject, asStrings, isObject, jsonEqual, withoutKeys } from "../../lib/json.ts";
import { diffMergePatch } from "../../lib/patch.ts";
import { type Context, templateOf } from "../context.ts";
import type { Action, AnnotationChanges } from "../plan.ts";
import { followingAffinity, newAffinity } from "./antiaffinity.ts";
import { identityOf, podHashOf } from "./replicaset.ts";

export interface EphemeralPlan {
  /** On the ReplicaSets; to be done before `pods`, so that a pod made in between has what its template says. */
  readonly versions: readonly Action[];
  readonly pods: readonly Action[];
  /** Pods are still to be looked at again. */
  readonly requeueAtMs?: number;
}

/** What a new ReplicaSet gets on top of the user's template. */
export interface Dressing {
  readonly template: Readonly<Record<string, unknown>>;
  readonly annotations: Readonly<Record<string, string>>;
}

type Template = Readonly<Record<string, unknown>>;
type Texts = Readonly<Record<string, string>>;

/** Pods that one pass patches at most; the next one goes on. */
const MAX_PODS_A_PASS = 100;
/** When patched pods are looked at again. Not at once: somebody else may take the keys away for good. */
const RECHECK_MS = 5000;
/** When a pass left pods over. */
const NEXT_MS = 250;

/** The template of the wanted version's new ReplicaSet. */
export function dressed(context: Context, template: Template): Dressing {
  const selected = context.rollout.spec.selector?.matchLabels ?? {};
  const wanted = allowed(roleMetadata(context, context.status.stableRS ?? "", context.podHash), selected);
  const remembered = rememberedMetadata(wanted);
  return {
    template: withAffinity(withMetadata(template, {}, wanted, {}), newAffinity(context)),
    annotations: remembered === undefined ? {} : { [EPHEMERAL_METADATA_ANNOTATION]: remembered },
  };
}

/**
 * Brings templates and pods of all versions in line with their roles. `stableHash`: the stable version as the pass leaves it. `planned`: what
 * else the pass does: what it takes away needs nothing more.
 */
export function planEphemeral(
  context: Context,
  stableHash: string,
  planned: readonly Action[],
): EphemeralPlan {
  const goes = (name: string): boolean =>
    planned.some((action) => action.name === name && action.kind === "deleteReplicaSet");
  const isEmptied = (name: string): boolean =>
    planned.some(
      (action) => action.name === name && action.kind === "scaleReplicaSet" && action.replicas === 0,
    );
  const parts = context.roles.owned
    .filter((replicaSet) => !isBare(context, replicaSet) && !goes(replicaSet.metadata.name))
    .map((replicaSet) => planOne(context, stableHash, replicaSet));
  const pods = parts.filter((part) => !isEmptied(part.name)).flatMap((part) => part.pods);
  return {
    versions: parts.flatMap((part) => part.actions),
    pods: pods.slice(0, MAX_PODS_A_PASS),
    ...(pods.length > 0 && {
      requeueAtMs: context.nowMs + (pods.length > MAX_PODS_A_PASS ? NEXT_MS : RECHECK_MS),
    }),
  };
}

function planOne(
  context: Context,
  stableHash: string,
  replicaSet: ReplicaSet,
): { readonly name: string; readonly actions: readonly Action[]; readonly pods: readonly Action[] } {
  const { name } = replicaSet.metadata;
  const podHash = podHashOf(replicaSet);
  const before = injectedMetadata(replicaSet.metadata.annotations);
  const selected = replicaSet.spec.selector.matchLabels ?? {};
  const wanted = allowed(roleMetadata(context, stableHash, podHash), selected);
  const seen = asObject(replicaSet.spec.template);
  const isWanted = replicaSet === context.roles.current;
  let next = withMetadata(seen, selected, wanted, { before, written: writtenMetadata(context) });
  if (isWanted)
    next = withAffinity(next, followingAffinity(context, stableHash, asObject(seen.spec).affinity));

  const pods = podChanges(context, replicaSet, next, { before, wanted });
  const known = pods.length === 0 ? wanted : union(before, wanted);
  const annotations: AnnotationChanges = jsonEqual(known, before)
    ? {}
    : { [EPHEMERAL_METADATA_ANNOTATION]: rememberedMetadata(known) ?? null };
  const template = diffMergePatch(seen, next);
  if (template === undefined && Object.keys(annotations).length === 0) return { name, actions: [], pods };
  const reason = "its pods carry what goes with the version's role";
  const action: Action = {
    kind: "annotateReplicaSet",
    ...identityOf(replicaSet),
    annotations,
    ...(isObject(template) && { template }),
    reason,
  };
  return { name, actions: [action], pods };
}

/** Whether nothing was injected and nothing is to be, as for most Rollouts: told without a look at the template. */
function isBare(context: Context, { metadata, spec }: ReplicaSet): boolean {
  const { fresh, stable } = strategyMetadata(context);
  return (
    fresh === NOTHING &&
    stable === NOTHING &&
    metadata.annotations?.[EPHEMERAL_METADATA_ANNOTATION] === undefined &&
    spec.template?.spec?.affinity === undefined
  );
}

/** The metadata that the strategy gives the version. Source: Argo: a version is the canary while it is not stable and another one is. */
function roleMetadata(context: Context, stableHash: string, podHash: string): RoleMetadata {
  const { fresh, stable } = strategyMetadata(context);
  if (podHash === context.podHash && stableHash !== "" && stableHash !== podHash) return fresh;
  return podHash === context.podHash || podHash === stableHash ? stable : NOTHING;
}

const NOTHING: RoleMetadata = { labels: {}, annotations: {} };

function strategyMetadata({ strategy }: Context): {
  readonly fresh: RoleMetadata;
  readonly stable: RoleMetadata;
} {
  switch (strategy.kind) {
    case "canary":
      return { fresh: whole(strategy.canary.canaryMetadata), stable: whole(strategy.canary.stableMetadata) };
    case "blueGreen":
      return {
        fresh: whole(strategy.blueGreen.previewMetadata),
        stable: whole(strategy.blueGreen.activeMetadata),
      };
    case "none":
      return { fresh: NOTHING, stable: NOTHING };
    default:
      return assertNever(strategy);
  }
}

function whole(metadata: Partial<RoleMetadata> | undefined): RoleMetadata {
  if (metadata === undefined) return NOTHING;
  return { labels: metadata.labels ?? {}, annotations: metadata.annotations ?? {} };
}

/** Without the labels that the ReplicaSet selects its pods by: the API would refuse its template. */
function allowed(metadata: RoleMetadata, selected: Texts): RoleMetadata {
  return { ...metadata, labels: withoutKeys(metadata.labels, selected) };
}

function union(a: RoleMetadata, b: RoleMetadata): RoleMetadata {
  return {
    labels: { ...a.labels, ...b.labels },
    annotations: { ...a.annotations, ...b.annotations },
  };
}

/** Labels and annotations of the user's template: what an injected key had covered comes back. */
function writtenMetadata(context: Context): RoleMetadata {
  const { labels, annotations } = asObject(asObject(templateOf(context.snapshot)).metadata);
  return { labels: asStrings(labels), annotations: asStrings(annotations) };
}

interface Covered {
  readonly before?: RoleMetadata;
  readonly written?: RoleMetadata;
}

/** The template with `wanted` on it, and without what was injected before and is wanted no more. */
function withMetadata(template: Template, selected: Texts, wanted: RoleMetadata, covered: Covered): Template {
  const { before = NOTHING, written = NOTHING } = covered;
  const metadata = asObject(template.metadata);
  const changed = (field: "labels" | "annotations"): Texts | undefined => {
    const gone = withoutKeys(
      before[field],
      field === "labels" ? { ...selected, ...wanted.labels } : wanted[field],
    );
    const back = Object.fromEntries(
      Object.entries(written[field]).filter(([key]) => Object.hasOwn(gone, key)),
    );
    const next = { ...withoutKeys(asStrings(metadata[field]), gone), ...back, ...wanted[field] };
    return Object.keys(next).length === 0 && metadata[field] === undefined ? undefined : next;
  };
  const labels = changed("labels");
  const annotations = changed("annotations");
  if (labels === undefined && annotations === undefined) return template;
  return {
    ...template,
    metadata: { ...metadata, ...(labels && { labels }), ...(annotations && { annotations }) },
  };
}

function withAffinity(template: Template, affinity: unknown): Template {
  const { affinity: seen, ...spec } = asObject(template.spec);
  if (jsonEqual(seen, affinity)) return template;
  return { ...template, spec: affinity === undefined ? spec : { ...spec, affinity } };
}

/** The living pods that do not carry what their template says, of all keys that any role has or had. */
function podChanges(
  context: Context,
  replicaSet: ReplicaSet,
  template: Template,
  metadata: { readonly before: RoleMetadata; readonly wanted: RoleMetadata },
): readonly Action[] {
  const { fresh, stable } = strategyMetadata(context);
  const known = allowed(
    [fresh, stable, metadata.wanted].reduce(union, metadata.before),
    replicaSet.spec.selector.matchLabels ?? {},
  );
  const should = asObject(template.metadata);
  return podsOf(context, replicaSet).flatMap((pod): Action[] => {
    const labels = changesOf(pod.metadata.labels ?? {}, known.labels, asStrings(should.labels));
    const annotations = changesOf(
      pod.metadata.annotations ?? {},
      known.annotations,
      asStrings(should.annotations),
    );
    if (Object.keys(labels).length + Object.keys(annotations).length === 0) return [];
    const { namespace = "", name, uid = "" } = pod.metadata;
    const reason = "the pod carries what goes with its version's role";
    return [{ kind: "setPodMetadata", namespace, name, uid, labels, annotations, reason }];
  });
}

function podsOf({ snapshot }: Context, { metadata }: ReplicaSet): readonly Pod[] {
  return (snapshot.workload.pods ?? []).filter(
    (pod) => pod.metadata.deletionTimestamp === undefined && controllerOf(pod)?.uid === metadata.uid,
  );
}

/** What brings the keys of `known` from what is seen to what should be. */
function changesOf(seen: Texts, known: Texts, should: Texts): AnnotationChanges {
  const keys = Object.keys(known).filter((key) => seen[key] !== should[key]);
  return Object.fromEntries(keys.map((key) => [key, should[key] ?? null]));
}
