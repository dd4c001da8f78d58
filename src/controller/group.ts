// One node group: the proxies of one Gateway. Renders what they should have, and knows who they are, what they have acknowledged, and
// which of them are in the way of a Rollout's weights.
import type { Gateway, TrafficIntent } from "../api/api.ts";
import type { Timer } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { jsonEqual } from "../lib/json.ts";
import { createMemo, type Problem, type Translation, translateGateway } from "../translate/translate.ts";
import type { Trouble } from "./noderecords.ts";
import { acknowledgementOf, type GroupState, type Member, type NodeState, updateMembers } from "./nodes.ts";
import { createProblemTeller } from "./problems.ts";
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

type IntentOf = (key: string) => TrafficIntent | undefined;

/** Makes the group `name`; `tell` is called when an acknowledgement may have changed. */
export function createGroup(deps: PublisherDeps, name: string, tell: () => void): Group {
  return new ProxyGroup(deps, name, tell);
}

class ProxyGroup implements Group {
  readonly name: string;
  failure: string | undefined;
  readonly #deps: PublisherDeps;
  readonly #tell: () => void;
  readonly #tellProblems: (now: readonly Problem[]) => void;
  readonly #tellRefusals: (nodes: readonly NodeState[]) => void;
  readonly #carried = new Map<string, Carried>();
  readonly #memo = createMemo();
  #members: readonly Member[];
  #troubles: readonly Trouble[];
  #isRecorded = true;
  #withheld: Translation["withheld"] = new Map();
  #endpoints: Translation["snapshot"]["endpoints"] = [];
  /** What the last rendering asked for. */
  #read = new Set<string>();
  #isOver = false;
  #expiry: Timer | undefined;
  #silence: Timer | undefined;

  constructor(deps: PublisherDeps, name: string, tell: () => void) {
    this.name = name;
    this.#deps = deps;
    this.#tell = tell;
    this.#tellProblems = createProblemTeller(deps);
    this.#tellRefusals = createRefusals(deps, name);
    this.#members = deps.records.known(name, deps.clock.nowMs());
    this.#troubles = deps.records.troubles(name);
  }

  render(gateway: Gateway, intents: readonly TrafficIntent[], intentOf: IntentOf): void {
    const { bindAddress, caches } = this.#deps;
    const noted = new Set<string>();
    const note = ({ kind, name: of }: Changed): void => void noted.add(`${kind} ${of}`);
    const input = {
      gateway,
      bindAddress,
      intents,
      httpRoutes: caches.httpRoutes.list(),
      policies: caches.trafficPolicies.list(),
      memo: this.#memo,
      ...lookups(caches, note),
    };
    try {
      this.#publish(translateGateway(input), intentOf);
    } catch (error) {
      this.#keepLast(messageOf(error));
    }
    this.#read = noted;
    this.#look();
  }

  reads({ kind, name }: Changed): boolean {
    return kind === "HTTPRoute" || kind === "TrafficPolicy" || this.#read.has(`${kind} ${name}`);
  }

  carries(): Iterable<string> {
    return this.#carried.keys();
  }

  stateOf(key: string, intent: TrafficIntent): Carriage {
    const lack = this.#withheld.get(key);
    if (lack !== undefined) return { kind: "unpublished", why: `${lack.why}; stable serves its share` };
    const entry = this.#carried.get(key);
    if (entry === undefined) return { kind: "elsewhere" };
    if (entry.intent === intent) return { kind: "carried", state: this.#stateOf(entry) };
    return { kind: "unpublished", why: this.failure ?? "the weights are not published yet" };
  }

  refresh(): void {
    if (this.#isOver) return;
    this.#look();
    this.#tell();
  }

  remove(): void {
    this.stop();
    this.#deps.server.removeGroup(this.name);
    this.#deps.records.forget(this.name);
  }

  stop(): void {
    this.#isOver = true;
    this.#expiry?.cancel();
    this.#silence?.cancel();
  }

  #publish({ snapshot, rollouts, withheld, problems }: Translation, intentOf: IntentOf): void {
    const endpoints = keepEndpoints(snapshot.endpoints, this.#endpoints, withheld);
    const sequence = this.#deps.server.setSnapshot(this.name, { ...snapshot, endpoints });
    this.#endpoints = endpoints;
    const carried = this.#carried;
    const atMs = this.#deps.clock.nowMs();
    for (const [key, routes] of rollouts) {
      const intent = intentOf(key);
      const before = carried.get(key);
      if (intent === undefined || withheld.has(key)) continue;
      if (before?.intent !== intent || !jsonEqual(before.routes, routes))
        carried.set(key, { intent, routes, sequence, atMs });
    }
    for (const key of carried.keys()) if (!rollouts.has(key) || withheld.has(key)) carried.delete(key);
    this.#withheld = withheld;
    this.failure = undefined;
    this.#tellProblems(problems);
  }

  /** A rendering that failed changes nothing: it is said, and the one before stays in force. */
  #keepLast(why: string): void {
    const message = `the last good configuration stays in force: ${why}`;
    if (this.failure !== message) this.#deps.log.error("not published", { group: this.name, error: why });
    this.failure = message;
    this.#tellProblems([{ about: this.name.replace("gateway/", "Gateway "), field: "spec", message }]);
  }

  #stateOf({ routes, sequence, atMs }: Carried): GroupState {
    return {
      group: this.name,
      members: this.#members,
      isRecorded: this.#isRecorded,
      nodes: this.#deps.server.nodes(this.name),
      routes,
      sequence,
      publishedAtMs: atMs,
    };
  }

  /** Takes up who is connected, and writes down what has changed of it. */
  #look(): void {
    const { clock, records, server } = this.#deps;
    const nodes = server.nodes(this.name);
    this.#tellRefusals(nodes);
    const { members, hasChanged, nextExpiryMs } = updateMembers(this.#members, nodes, clock.nowMs());
    this.#members = members;
    this.#expiry?.cancel();
    if (nextExpiryMs !== undefined)
      this.#expiry = clock.after(Math.max(nextExpiryMs - clock.nowMs(), 1), () => this.refresh());
    const troubles = this.#troublesNow();
    if (!hasChanged && jsonEqual(troubles, this.#troubles)) return;
    this.#troubles = troubles;
    if (hasChanged) this.#isRecorded = false;
    records.write(this.name, members, troubles, () => {
      this.#isRecorded = true;
      this.#tell();
    });
  }

  /** Who refuses, and who has been silent for a while. Looks again when the next one will have been. */
  #troublesNow(): readonly Trouble[] {
    const { clock } = this.#deps;
    this.#silence?.cancel();
    const found = new Map<string, { why: string; readonly rollouts: string[] }>();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [key, entry] of this.#carried) {
      const verdict = acknowledgementOf([{ ...this.#stateOf(entry), isRecorded: true }], entry.atMs);
      if (verdict.kind !== "no") continue;
      const isDue = clock.nowMs() - entry.atMs >= SILENT_MS;
      if (!isDue) nextMs = Math.min(nextMs, entry.atMs + SILENT_MS);
      for (const { node, why } of verdict.nodes) {
        if (!this.#members.some(({ id }) => id === node) || !(isDue || why.startsWith("refused: "))) continue;
        const trouble = found.get(node) ?? { why, rollouts: [] };
        found.set(node, trouble);
        if (trouble.rollouts.length < MAX_NAMED) trouble.rollouts.push(key);
      }
    }
    if (nextMs !== Number.POSITIVE_INFINITY)
      this.#silence = clock.after(nextMs - clock.nowMs(), () => this.refresh());
    return [...found].map(([node, trouble]) => ({ node, ...trouble }));
  }
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
