// Where a history ends: all that is left once nothing more happens, whether a crash on the way leads elsewhere, and whether an update gets there
// at all when everybody helps.
import { type KubeObject, POD_HASH_LABEL, WORKLOAD_GENERATION_ANNOTATION } from "../../src/api/api.ts";
import type { World } from "../support/world.ts";
import { type History, play, worldOf } from "./histories.ts";
import { equal } from "./invariants.ts";

/** Later than any delay of the specs. */
export const LAST_DELAY_MS = 120_000;

/** Plays the history twice, once with a controller that dies after so many writes of the pass that follows; both end alike, or it throws. */
export function crashConverges({ events, ...start }: History, writes: number): void {
  const world = worldOf(start);
  for (const next of events) play(world, next);
  crashOfConverges(world, writes);
}

/** The same of a world that has come this far. */
export function crashOfConverges(world: World, writes: number): void {
  // A pause holds the sizes wherever they were on their way.
  world.editSpec({ paused: null });
  const crashed = world.clone();
  crashed.apply(crashed.plan(), writes);
  crashed.restart();
  for (const one of [world, crashed]) {
    comeToAnEnd(one);
    one.advance(LAST_DELAY_MS);
  }
  equal(endOf(crashed), endOf(world), "the ends differ");
}

/** From here on everybody else does as asked: pods become ready, proxies acknowledge, evictions are allowed. */
export function comeToAnEnd(world: World): void {
  // A budget that never allows an eviction allows it for the moment in which the pod is not ready: who comes then, ends elsewhere.
  Object.assign(world, { readiness: "auto", acking: "auto", disruptionBudget: 0 });
  world.acknowledge();
}

/** More than any of the specs has steps, and a retry. */
const MAX_TURNS = 24;

/** Everybody does as asked, and helps wherever the update waits for somebody; throws where it is not healthy in the end. */
export function helpToTheEnd(world: World): void {
  world.editSpec({ paused: null });
  comeToAnEnd(world);
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    world.advance(LAST_DELAY_MS);
    const { phase, stableRS, currentPodHash } = world.status();
    if (phase === "Healthy" && stableRS === currentPodHash) return;
    help(world);
  }
  throw new Error(`is not healthy: ${JSON.stringify(world.plan().explanation, null, 1)}`);
}

/** What people and providers do for an update that waits. */
function help(world: World): void {
  for (const name of world.runs.keys()) world.setRun(name, "Successful");
  const { abort, pauseConditions } = world.status();
  if (abort === true) world.patchStatus({ abort: false });
  if (pauseConditions !== undefined) world.patchStatus({ pauseConditions: null });
}

/** Of the condition Progressing, where the update stands still. */
const ENDS: ReadonlySet<unknown> = new Set([
  "NewReplicaSetAvailable",
  "ProgressDeadlineExceeded",
  "RolloutAborted",
  "RolloutPaused",
]);

/** What a history has led to, without what tells of the passes on the way. */
export function endOf(world: World): unknown {
  const sizes = [...world.replicaSets.values()].map((item) => {
    const { name, annotations, ownerReferences } = item.metadata;
    // Of a version that has gone nobody needs to know when it was to go.
    const { "scale-down-deadline": deadline, ...others } = withoutGeneration(annotations);
    const isGone = Object(item.spec).replicas === 0;
    return { name, annotations: isGone ? others : { ...others, deadline }, ownerReferences, spec: item.spec };
  });
  const services = [...world.services.values()].map((item) => ledTo(world, item));
  // Which was created first is no part of it.
  const runs = Object.fromEntries([...world.runs].map(([name, item]) => [name, item.spec]));
  const { spec, metadata } = world.rollout;
  const { conditions = [], ...status } = world.status();
  // Their order in the list is that of their first appearance, their times those of the passes: no part of the end.
  // A pause that is over leaves a condition behind, if a status told of it.
  const lasting = conditions.filter(({ type, status: value }) => type !== "Paused" || value !== "False");
  const byType = Object.fromEntries(
    lasting.map(({ type, status: value, reason, message }) => [
      type,
      { value, reason, message: withoutSilent(message) },
    ]),
  );
  // By which of its passes an update is on its way is no part of it either, nor how long it took.
  const isOnItsWay = byType.Progressing !== undefined && !ENDS.has(byType.Progressing.reason);
  if (isOnItsWay) byType.Progressing = { value: "Unknown", reason: "", message: "on its way" };
  return {
    sizes,
    services,
    runs,
    spec,
    status: {
      ...status,
      message: withoutSilent(status.message),
      duration: undefined,
      workloadObservedGeneration: undefined,
    },
    byType,
    annotations: withoutGeneration(metadata.annotations),
    workloads: [...world.workloads.values()].map((item) => item.spec),
    traffic: world.published,
  };
}

/**
 * What a Service selects. A canary's that had pods for a moment on the way, of which a later step left none, selects them still; had they not been
 * ready in that moment, it would not. It leads nowhere either way, and no traffic goes there.
 */
function ledTo(world: World, { metadata, spec }: KubeObject): unknown {
  const { canary } = world.status().canary?.weights ?? {};
  if (canary === undefined || metadata.name !== canary.serviceName || canary.weight > 0) return spec;
  const hasPods = [...world.replicaSets.values()].some(
    (item) =>
      item.metadata.labels?.[POD_HASH_LABEL] === canary.podTemplateHash && Object(item.spec).replicas > 0,
  );
  return hasPods ? spec : { ...Object(spec), selector: "nobody" };
}

/** Who was waited for when the time was up: a leader that has just begun has published nothing yet and can name no proxy. */
function withoutSilent(message: string | undefined): string | undefined {
  return message?.replace(/(has timed out progressing\.) The proxies have not acknowledged .*/s, "$1");
}

/** How often a Deployment was scaled on the way is no part of the end. */
function withoutGeneration(
  annotations: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const { [WORKLOAD_GENERATION_ANNOTATION]: _, ...others } = annotations;
  return others;
}
