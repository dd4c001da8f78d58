// Carries a plan out, in the plan's order: actions, status, traffic, events. It decides nothing: the first write that fails ends the pass, and
// what had been written by then is told with the events of the next.
import { type KubeObject, RESOURCES } from "../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient, type EventRecorder, subjectOf } from "../cluster/client.ts";
import { type Action, type Plan, requestOf, type Snapshot } from "../engine/decide.ts";
import { assertNever } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { diffMergePatch } from "../lib/patch.ts";
import type { Evictions } from "./evictions.ts";
import type { Freshness } from "./freshness.ts";
import { mayBeRouted } from "./observe.ts";
import type { OwedEvents } from "./owedevents.ts";
import type { Publisher } from "./publish.ts";

/** No single write may take longer. */
const WRITE_TIMEOUT_MS = 10_000;

export interface ApplyDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly freshness: Freshness;
  readonly owed: OwedEvents;
  readonly evictions: Evictions;
  readonly publisher: Publisher;
}

/** Carries out `plan` for the Rollout under `key`; throws what the first failed write threw. */
export async function apply(
  deps: ApplyDeps,
  key: string,
  snapshot: Snapshot,
  plan: Plan,
  signal: AbortSignal,
): Promise<void> {
  let rollout = snapshot.raw;
  const done: Action[] = [];
  try {
    for (const action of plan.actions) {
      const written = await applyAction(deps, key, action, deadline(signal));
      done.push(action);
      deps.log.info("applied", { action: action.kind, name: action.name, reason: action.reason });
      if (written?.kind === RESOURCES.rollout.kind) rollout = written;
    }
    rollout = await writeStatus(deps, key, snapshot, rollout, plan, deadline(signal));
  } catch (error) {
    deps.owed.lost(key, done, plan.events);
    throw error;
  }
  if (plan.traffic !== undefined) deps.publisher.setIntent(key, plan.traffic);
  else if (!mayBeRouted(snapshot.rollout)) deps.publisher.removeIntent(key);
  const about = subjectOf(rollout);
  for (const { type, reason, message } of deps.owed.settle(key, plan.events))
    await deps.events.record(about, type, reason, message);
}

function deadline(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(WRITE_TIMEOUT_MS)]);
}

async function applyAction(
  { client, clock, freshness, evictions }: ApplyDeps,
  key: string,
  action: Action,
  signal: AbortSignal,
): Promise<KubeObject | undefined> {
  const request = requestOf(action);
  const id = (name: string): string => objectId(request.type.kind, action.namespace, name);
  switch (request.verb) {
    case "create": {
      const created = await client.create(request.type, request.object, signal);
      freshness.wrote(key, id(created.metadata.name), created.metadata.resourceVersion, clock.nowMs());
      return created;
    }
    case "patch": {
      const patch = { type: "merge", body: request.body } as const;
      if (request.mayBeGone === true) {
        // Not remembered either: a pod that goes right after would hold up the passes that wait to see it.
        await client.patch(request.type, request.ref, patch, { signal }).catch(unlessGone);
        return undefined;
      }
      const patched = await client.patch(request.type, request.ref, patch, { signal });
      freshness.wrote(key, id(request.ref.name), patched.metadata.resourceVersion, clock.nowMs());
      return patched;
    }
    case "delete": {
      const { uid, resourceVersion } = request;
      await client.delete(request.type, request.ref, {
        uid,
        signal,
        ...(resourceVersion !== undefined && { resourceVersion }),
      });
      freshness.wrote(key, id(request.ref.name), undefined, clock.nowMs());
      return undefined;
    }
    case "evict":
      await evictions.evict(key, request.ref, request.uid, signal);
      return undefined;
    default:
      return assertNever(request);
  }
}

function unlessGone(error: unknown): void {
  if (!isWeirError(error, CLUSTER_ERRORS.notFound)) throw error;
}

/** The name under which `freshness` knows an object. */
export function objectId(kind: string, namespace: string, name: string): string {
  return `${kind}/${namespace}/${name}`;
}

async function writeStatus(
  { client, clock, freshness }: ApplyDeps,
  key: string,
  snapshot: Snapshot,
  rollout: KubeObject,
  plan: Plan,
  signal: AbortSignal,
): Promise<KubeObject> {
  const patch = diffMergePatch(snapshot.rollout.status ?? {}, plan.status);
  if (patch === undefined) return rollout;
  const { namespace, name, resourceVersion } = rollout.metadata;
  const written = await client.patch(
    RESOURCES.rollout,
    { name, ...(namespace !== undefined && { namespace }) },
    { type: "merge", body: { metadata: { resourceVersion }, status: patch } },
    { subresource: "status", signal },
  );
  const id = objectId(RESOURCES.rollout.kind, namespace ?? "", name);
  freshness.wrote(key, id, written.metadata.resourceVersion, clock.nowMs());
  return written;
}
