// Carries a plan out, in the plan's order: actions, status, routers' objects, traffic, events. It decides nothing: the first write that fails
// ends the pass, and what had been written by then is told with the events of the next.
import { type KubeObject, RESOURCES, type ResourceType, type RolloutDuration } from "../api/api.ts";
import { CLUSTER_ERRORS, type ClusterClient, type EventRecorder, subjectOf } from "../cluster/client.ts";
import {
  type Action,
  type Plan,
  type PlannedEvent,
  requestOf,
  type Snapshot,
  withRouterEvents,
} from "../engine/decide.ts";
import { assertNever } from "../lib/assert.ts";
import type { Clock } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { diffMergePatch } from "../lib/patch.ts";
import type { RouterPatch } from "../routers/routers.ts";
import type { Evictions } from "./evictions.ts";
import { type Freshness, objectId } from "./freshness.ts";
import { type ControllerMetrics, secondsOf } from "./metrics.ts";
import { mayBeRouted } from "./observe.ts";
import type { OwedEvents } from "./owedevents.ts";
import type { Publisher } from "./publish.ts";
import type { RefusedWrites } from "./refusedwrites.ts";
import { type RouterTroubles, writeRouters } from "./routing.ts";
import type { VerdictBook } from "./verification.ts";

/** No single write may take longer. */
const WRITE_TIMEOUT_MS = 10_000;

/** What every write of a pass needs. */
export interface WriteDeps {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly freshness: Freshness;
  readonly owed: OwedEvents;
  readonly evictions: Evictions;
  readonly refused: RefusedWrites;
}

export interface ApplyDeps extends WriteDeps {
  readonly publisher: Publisher;
  readonly metrics?: Pick<ControllerMetrics, "ended"> | undefined;
  readonly troubles: RouterTroubles;
  readonly verdicts: VerdictBook;
}

/** Carries out `plan` for the Rollout under `key`, and the writes that its routing was rendered to; throws what the first failed write threw. */
export async function apply(
  deps: ApplyDeps,
  key: string,
  snapshot: Snapshot,
  plan: Plan,
  patches: readonly RouterPatch[],
  signal: AbortSignal,
): Promise<void> {
  const status = snapshot.rollout.status ?? {};
  const rollout = await writePlan(
    deps,
    key,
    { type: RESOURCES.rollout, raw: snapshot.raw, status },
    plan,
    signal,
  );
  const routed = await writeRouters(deps, key, patches, () => deadline(signal));
  if (plan.traffic !== undefined) deps.publisher.setIntent(key, plan.traffic);
  else if (!mayBeRouted(snapshot.rollout)) deps.publisher.removeIntent(key);
  if (plan.ended !== undefined) tellEnd(deps, key, plan.ended);
  const verdicts = deps.verdicts.take(key, plan);
  await tell(deps, key, rollout, [...verdicts, ...withRouterEvents(plan.events, routed.events)]);
  // The status is written and told of: only the routers are left to be tried again.
  if (routed.error !== undefined) throw routed.error;
}

/** How an update ended, and how long it took. */
function tellEnd({ log, metrics }: ApplyDeps, key: string, record: RolloutDuration): void {
  const { whole, paused } = secondsOf(record);
  log.info("update ended", { rollout: key, status: record.completionStatus, seconds: whole, paused });
  metrics?.ended(record);
}

/** What a plan is about. */
export interface Subject {
  readonly type: ResourceType;
  readonly raw: KubeObject;
  /** As the decision saw it. */
  readonly status: object;
}

/** What every plan has. */
export interface Written {
  readonly actions: readonly Action[];
  readonly events: readonly PlannedEvent[];
  readonly status: object;
}

/** Carries out actions and status; resolves with the object as it was last written. Throws what the first failed write threw. */
export async function writePlan(
  deps: WriteDeps,
  key: string,
  subject: Subject,
  plan: Written,
  signal: AbortSignal,
): Promise<KubeObject> {
  let object = subject.raw;
  const done: Action[] = [];
  try {
    for (const action of plan.actions) {
      const written = await applyAction(deps, key, action, deadline(signal));
      done.push(action);
      deps.log.info("applied", { action: action.kind, name: action.name, reason: action.reason });
      if (written?.kind === subject.type.kind && written.metadata.uid === object.metadata.uid)
        object = written;
    }
    return await writeStatus(deps, key, { ...subject, raw: object }, plan.status, signal);
  } catch (error) {
    deps.owed.lost(key, done, plan.events);
    deps.refused.failed(key, plan.actions[done.length], error);
    throw error;
  }
}

/** Emits the events of a pass that has succeeded, and those that are owed. */
export async function tell(
  deps: Pick<WriteDeps, "events" | "owed">,
  key: string,
  object: KubeObject,
  events: readonly PlannedEvent[],
): Promise<void> {
  const about = subjectOf(object);
  for (const { type, reason, message } of deps.owed.settle(key, events))
    await deps.events.record(about, type, reason, message);
}

function deadline(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(WRITE_TIMEOUT_MS)]);
}

async function applyAction(
  { client, clock, freshness, evictions }: WriteDeps,
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

/** Writes the status where it changes; resolves with the object as written. Throws what the write threw. */
export async function writeStatus(
  { client, clock, freshness }: Pick<WriteDeps, "client" | "clock" | "freshness">,
  key: string,
  { type, raw, status }: Subject,
  wanted: object,
  signal: AbortSignal,
): Promise<KubeObject> {
  const patch = diffMergePatch(status, wanted);
  if (patch === undefined) return raw;
  const { namespace, name, resourceVersion } = raw.metadata;
  const hasSubresource = type.subresources.includes("status");
  const written = await client.patch(
    type,
    { name, ...(namespace !== undefined && { namespace }) },
    { type: "merge", body: { metadata: { resourceVersion }, status: patch } },
    { signal: deadline(signal), ...(hasSubresource && { subresource: "status" as const }) },
  );
  const id = objectId(type.kind, namespace ?? "", name);
  freshness.wrote(key, id, written.metadata.resourceVersion, clock.nowMs());
  return written;
}
