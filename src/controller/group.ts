// One node group: the proxies of one Gateway. Renders what they should have, and knows who they are, what they have acknowledged, and
// which of them are in the way of a Rollout's weights.
import type { Gateway, TrafficIntent } from "../api/api.ts";
import { type ObjectStore, subjectOf } from "../cluster/client.ts";
import type { Timer } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { jsonEqual } from "../lib/json.ts";
import { createMemo, type Problem, type Translation, translateGateway } from "../translate/translate.ts";
import type { Trouble } from "./noderecords.ts";
import { acknowledgementOf, type GroupState, type Member, updateMembers } from "./nodes.ts";
import type { PublisherDeps } from "./publish.ts";
import { type Changed, lookups } from "./reads.ts";
import { createRefusals } from "./refusals.ts";

/** A proxy that has not answered for so long is written down as silent. */
export const SILENT_MS = 5_000;
/** Rollouts that are named for one proxy in the record. */
const MAX_NAMED = 20;

/** How an intent stands in a group. */
export type Carriage =
  | { readonly kind: "elsewhere" }
  | { readonly kind: "unpublished"; readonly why: string }
  | { readonly kind: "carried"; readonly state: GroupState };

export interface Group {
  readonly name: string;
  /** Why the last rendering could not be published; the one before is in force. */
  readonly failure: string | undefined;
  render(
    gateway: Gateway,
    intents: readonly TrafficIntent[],
    intentOf: (key: string) => TrafficIntent | undefined,
  ): void;
  /** Whether the last rendering depends on what changed. */
  reads(changed: Changed): boolean;
  /** Keys of the Rollouts that it carries. */
  carries(): Iterable<string>;
  stateOf(key: string, intent: TrafficIntent): Carriage;
  /** Takes up what the proxies have done. */
  refresh(): void;
  /** The Gateway is gone. */
  remove(): void;
  stop(): void;
}

interface Carried {
  readonly intent: TrafficIntent;
  readonly routes: readonly string[];
  /** The publication that first held it. */
  readonly sequence: number;
  readonly atMs: number;
}

/** Makes the group `name`; `tell` is called when an acknowledgement may have changed. */
export function createGroup(deps: PublisherDeps, name: string, tell: () => void): Group {
  const { caches, clock, records, server } = deps;
  const carried = new Map<string, Carried>();
  let members: readonly Member[] = records.known(name, clock.nowMs());
  let troubles: readonly Trouble[] = records.troubles(name);
  let isRecorded = true;
  let problems: readonly Problem[] = [];
  let failure: string | undefined;
  let short: Translation["withheld"] = new Map();
  let lastEndpoints: Translation["snapshot"]["endpoints"] = [];
  let read = new Set<string>();
  let isOver = false;
  const memo = createMemo();
  const tellRefusals = createRefusals(deps, name);
  const timers: { expiry?: Timer; silence?: Timer } = {};

  const stateOf = (entry: Carried): GroupState => ({
    group: name,
    members,
    isRecorded,
    nodes: server.nodes(name),
    routes: entry.routes,
    sequence: entry.sequence,
    publishedAtMs: entry.atMs,
  });
  const look = (): void => {
    const nodes = server.nodes(name);
    tellRefusals(nodes);
    const change = updateMembers(members, nodes, clock.nowMs());
    members = change.members;
    timers.expiry?.cancel();
    if (change.nextExpiryMs !== undefined)
      timers.expiry = clock.after(Math.max(change.nextExpiryMs - clock.nowMs(), 1), refresh);
    const now = troublesNow();
    const isTold = jsonEqual(now, troubles);
    if (!change.hasChanged && isTold) return;
    troubles = now;
    if (change.hasChanged) isRecorded = false;
    records.write(name, members, troubles, () => {
      isRecorded = true;
      tell();
    });
  };
  function refresh(): void {
    if (isOver) return;
    look();
    tell();
  }

  /** Who refuses, and who has been silent for a while. Looks again when the next one will have been. */
  const troublesNow = (): readonly Trouble[] => {
    timers.silence?.cancel();
    const found = new Map<string, { why: string; readonly rollouts: string[] }>();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [key, entry] of carried) {
      const verdict = acknowledgementOf([{ ...stateOf(entry), isRecorded: true }], entry.atMs);
      if (verdict.kind !== "no") continue;
      const isDue = clock.nowMs() - entry.atMs >= SILENT_MS;
      if (!isDue) nextMs = Math.min(nextMs, entry.atMs + SILENT_MS);
      for (const { node, why } of verdict.nodes) {
        if (!members.some(({ id }) => id === node) || !(isDue || why.startsWith("refused: "))) continue;
        const trouble = found.get(node) ?? { why, rollouts: [] };
        found.set(node, trouble);
        if (trouble.rollouts.length < MAX_NAMED) trouble.rollouts.push(key);
      }
    }
    if (nextMs !== Number.POSITIVE_INFINITY) timers.silence = clock.after(nextMs - clock.nowMs(), refresh);
    return [...found].map(([node, trouble]) => ({ node, ...trouble }));
  };
  const take = (
    { snapshot, rollouts, withheld, problems: found }: Translation,
    intentOf: Parameters<Group["render"]>[2],
  ): void => {
    const endpoints = keepEndpoints(snapshot.endpoints, lastEndpoints, withheld);
    const sequence = server.setSnapshot(name, { ...snapshot, endpoints });
    lastEndpoints = endpoints;
    const atMs = clock.nowMs();
    for (const [key, routes] of rollouts) {
      const intent = intentOf(key);
      const before = carried.get(key);
      if (intent === undefined || withheld.has(key)) continue;
      if (before?.intent !== intent || !jsonEqual(before.routes, routes))
        carried.set(key, { intent, routes, sequence, atMs });
    }
    for (const key of carried.keys()) if (!rollouts.has(key) || withheld.has(key)) carried.delete(key);
    short = withheld;
    failure = undefined;
    tellProblems(deps, problems, found);
    problems = found;
  };

  return {
    name,
    get failure() {
      return failure;
    },
    render(gateway, intents, intentOf) {
      const noted = new Set<string>();
      const note = ({ kind, name: of }: Changed): void => void noted.add(`${kind} ${of}`);
      const { bindAddress } = deps;
      const input = {
        gateway,
        bindAddress,
        intents,
        httpRoutes: caches.httpRoutes.list(),
        policies: caches.trafficPolicies.list(),
        memo,
        ...lookups(caches, note),
      };
      try {
        take(translateGateway(input), intentOf);
      } catch (error) {
        const about = name.replace("gateway/", "Gateway ");
        const message = `the last good configuration stays in force: ${messageOf(error)}`;
        if (failure !== message) deps.log.error("not published", { group: name, error: messageOf(error) });
        failure = message;
        const now = [{ about, field: "spec", message }];
        tellProblems(deps, problems, now);
        problems = now;
      }
      read = noted;
      look();
    },
    reads: ({ kind, name: of }) =>
      kind === "HTTPRoute" || kind === "TrafficPolicy" || read.has(`${kind} ${of}`),
    carries: () => carried.keys(),
    stateOf(key, intent) {
      const lack = short.get(key);
      if (lack !== undefined) return { kind: "unpublished", why: `${lack.why}; stable serves its share` };
      const entry = carried.get(key);
      if (entry === undefined) return { kind: "elsewhere" };
      if (entry.intent === intent) return { kind: "carried", state: stateOf(entry) };
      return { kind: "unpublished", why: failure ?? "the weights are not published yet" };
    },
    refresh,
    remove() {
      this.stop();
      server.removeGroup(name);
      records.forget(name);
    },
    stop() {
      isOver = true;
      timers.expiry?.cancel();
      timers.silence?.cancel();
    },
  };
}

/** Make before break: the endpoints of a version whose share was taken away stay until no proxy routes to it, its pods permitting. */
function keepEndpoints(
  endpoints: Translation["snapshot"]["endpoints"],
  last: Translation["snapshot"]["endpoints"],
  withheld: Translation["withheld"],
): Translation["snapshot"]["endpoints"] {
  const emptied = new Set([...withheld.values()].flatMap(({ clusters }) => clusters));
  if (emptied.size === 0) return endpoints;
  const before = new Map(last.map((assignment) => [assignment.clusterName, assignment]));
  return endpoints.map((assignment) =>
    emptied.has(assignment.clusterName) ? (before.get(assignment.clusterName) ?? assignment) : assignment,
  );
}

/** Says once what a manifest asks for and does not get: in the log, and as an event on the object. */
function tellProblems(deps: PublisherDeps, before: readonly Problem[], now: readonly Problem[]): void {
  for (const problem of now) {
    if (before.some((known) => jsonEqual(known, problem))) continue;
    const { about, field, message } = problem;
    deps.log.warn("not carried out", { about, field, why: message });
    const [kind = "", key = ""] = about.split(" ");
    const object = storeOf(deps, kind).get(key);
    if (object === undefined) continue;
    void deps.events.record(subjectOf(object), "Warning", "NotCarriedOut", `${field}: ${message}`);
  }
}

/** The store of a kind that problems are about. */
function storeOf({ caches }: PublisherDeps, kind: string): ObjectStore {
  if (kind === "Gateway") return caches.gateways.store;
  return kind === "TrafficPolicy" ? caches.trafficPolicies.store : caches.httpRoutes.store;
}
