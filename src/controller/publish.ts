// Keeps the proxies' snapshots up to date with the cluster and the Rollouts' intents, and tells which intents are in force.
// A Gateway is rendered once in the turn of the event loop in which something changed that its last rendering had read; equal content is no new
// publication. The intent of a Rollout is whatever its last pass set, never something read back from a cache, so an older cache cannot
// bring an older weight back. What cannot be published leaves the last good configuration in force, and is said.
import type { Acknowledgement, Gateway, TrafficIntent } from "../api/api.ts";
import type { EventRecorder } from "../cluster/client.ts";
import type { Clock } from "../lib/clock.ts";
import { jsonEqual } from "../lib/json.ts";
import type { Logger } from "../lib/log.ts";
import { GATEWAY_CLASS, groupOf } from "../translate/translate.ts";
import type { XdsSnapshot } from "../xds/types.ts";
import type { Caches } from "./caches.ts";
import { createGroup, type Group } from "./group.ts";
import type { NodeRecords } from "./noderecords.ts";
import { acknowledgementOf, type GroupState, type NodeState } from "./nodes.ts";
import { type Changed, watchChanges } from "./reads.ts";

/** The part of the xDS server that publishing needs. */
export interface SnapshotServer {
  /** Takes the content of a group; returns the number of the publication that carries it: the present one when nothing changed. */
  setSnapshot(group: string, snapshot: XdsSnapshot): number;
  removeGroup(group: string): void;
  nodes(group: string): readonly NodeState[];
  /** Calls back with the group whose nodes connected, disconnected, acknowledged or refused. */
  onChange(listener: (group: string) => void): () => void;
}

export interface Publisher {
  /** Publishes `intent` for the Rollout `key`. The same again is no change. */
  setIntent(key: string, intent: TrafficIntent): void;
  removeIntent(key: string): void;
  published(key: string): TrafficIntent | undefined;
  /** Since when proxies can answer about a Rollout of which something is published; undefined: nothing is. */
  publishedSinceMs(key: string): number | undefined;
  /** Whether what was published for `key` is in force in every proxy that carries it. */
  acknowledgement(key: string): Acknowledgement;
  /** Renders everything, and from now on what changes; call when the caches have synced and every Rollout has been reconciled once. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface PublisherDeps {
  readonly caches: Caches;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly server: SnapshotServer;
  readonly records: NodeRecords;
  /** Address that gateway listeners bind when their Gateway names none. */
  readonly bindAddress: string;
  /** Called with every intent that is new to this publisher, or with nothing when a Rollout has none any more. */
  readonly onIntent?: (key: string, intent: TrafficIntent | undefined) => void;
  /** Called with the key of every Rollout whose acknowledgement has changed. */
  readonly onAcknowledgement: (key: string) => void;
  /** Called when an intent has come in force everywhere, with the time since it was published. */
  readonly onInForce?: (key: string, afterMs: number) => void;
}

interface Intent {
  readonly intent: TrafficIntent;
  readonly sinceMs: number;
  /** Not rendered yet. */
  isPending: boolean;
  /** The verdict last told, as far as it matters to a pass. */
  told: string;
  wasInForce: boolean;
}

/** Makes a publisher that renders nothing yet. */
export function createPublisher(deps: PublisherDeps): Publisher {
  return new GatewayPublisher(deps);
}

class GatewayPublisher implements Publisher {
  readonly #deps: PublisherDeps;
  readonly #intents = new Map<string, Intent>();
  readonly #groups = new Map<string, Group>();
  readonly #endings: (() => void)[] = [];
  /** Groups to be rendered. */
  readonly #dirty = new Set<string>();
  #startedMs: number | undefined;
  #isStopped = false;
  #scheduled: NodeJS.Immediate | undefined;

  constructor(deps: PublisherDeps) {
    this.#deps = deps;
  }

  setIntent(key: string, intent: TrafficIntent): void {
    const before = this.#intents.get(key);
    if (before !== undefined && jsonEqual(before.intent, intent)) return;
    const sinceMs = this.#deps.clock.nowMs();
    this.#intents.set(key, { intent, sinceMs, isPending: true, told: "", wasInForce: false });
    this.#deps.onIntent?.(key, intent);
    this.#schedule(this.#groups.keys());
  }

  removeIntent(key: string): void {
    this.#deps.onIntent?.(key, undefined);
    if (this.#intents.delete(key)) this.#schedule(this.#groups.keys());
  }

  published(key: string): TrafficIntent | undefined {
    return this.#intents.get(key)?.intent;
  }

  publishedSinceMs(key: string): number | undefined {
    return this.#intents.has(key) ? (this.#startedMs ?? this.#deps.clock.nowMs()) : undefined;
  }

  acknowledgement(key: string): Acknowledgement {
    const entry = this.#intents.get(key);
    if (entry === undefined) return notYet("nothing is published yet", this.#deps.clock.nowMs());
    return this.#verdictOf(key, entry);
  }

  async start(): Promise<void> {
    const { caches, records, server } = this.#deps;
    await records.load();
    if (this.#isStopped) return;
    this.#startedMs = this.#deps.clock.nowMs();
    this.#endings.push(watchChanges(caches, (changed) => this.#onChange(changed)));
    this.#endings.push(server.onChange((name) => this.#groups.get(name)?.refresh()));
    this.#render();
    for (const name of records.groups()) if (!this.#groups.has(name)) records.forget(name);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearImmediate(this.#scheduled);
    for (const end of this.#endings.splice(0)) end();
    for (const group of this.#groups.values()) group.stop();
    await this.#deps.records.stop();
  }

  #onChange(changed: Changed): void {
    const concerned = [...this.#groups.values()]
      .filter((group) => group.reads(changed))
      .map(({ name }) => name);
    if (changed.kind === "Gateway") concerned.push(`gateway/${changed.name}`);
    if (concerned.length > 0) this.#schedule(concerned);
  }

  #schedule(names: Iterable<string>): void {
    for (const name of names) this.#dirty.add(name);
    if (this.#startedMs === undefined || this.#isStopped) return;
    this.#scheduled ??= setImmediate(() => this.#render());
  }

  #render(): void {
    this.#scheduled = undefined;
    if (this.#startedMs === undefined || this.#isStopped) return;
    const intents = [...this.#intents.values()].map(({ intent }) => intent);
    const gateways = this.#deps.caches.gateways.list().filter(isOurs);
    for (const gateway of gateways) this.#renderGateway(gateway, intents);
    this.#dirty.clear();
    for (const entry of this.#intents.values()) entry.isPending = false;
    this.#removeOthers(new Set(gateways.map(groupOf)));
    this.#tellChanges(this.#intents.keys());
  }

  #renderGateway(gateway: Gateway, intents: readonly TrafficIntent[]): void {
    const name = groupOf(gateway);
    const known = this.#groups.get(name);
    if (known !== undefined && !this.#dirty.has(name)) return;
    const group =
      known ??
      createGroup(this.#deps, name, () => this.#tellChanges(this.#groups.get(name)?.carries() ?? []));
    this.#groups.set(name, group);
    group.render(gateway, intents, (key) => this.#intents.get(key)?.intent);
  }

  /** Groups whose Gateway's deletion was observed: caches are complete before anything is rendered. */
  #removeOthers(present: ReadonlySet<string>): void {
    for (const [name, group] of this.#groups) {
      if (present.has(name)) continue;
      this.#groups.delete(name);
      group.remove();
    }
  }

  #verdictOf(key: string, { intent, sinceMs, isPending }: Intent): Acknowledgement {
    if (isPending) return notYet("the weights are being published", sinceMs);
    const states: GroupState[] = [];
    let failure: string | undefined;
    for (const group of this.#groups.values()) {
      const state = group.stateOf(key, intent);
      failure ??= group.failure;
      if (state.kind === "unpublished") return notYet(state.why, sinceMs, group.name);
      if (state.kind === "carried") states.push(state.state);
    }
    const isOptional = intent.isBlueGreen === true;
    if (states.length === 0 && failure !== undefined && !isOptional) return notYet(failure, sinceMs);
    return acknowledgementOf(states, sinceMs, isOptional);
  }

  #tellChanges(keys: Iterable<string>): void {
    const { clock, onAcknowledgement, onInForce } = this.#deps;
    for (const key of keys) {
      const entry = this.#intents.get(key);
      if (entry === undefined) continue;
      const verdict = this.#verdictOf(key, entry);
      const signature = signatureOf(verdict);
      if (signature === entry.told) continue;
      if (verdict.kind === "yes" && !entry.wasInForce) onInForce?.(key, clock.nowMs() - entry.sinceMs);
      entry.wasInForce ||= verdict.kind === "yes";
      entry.told = signature;
      onAcknowledgement(key);
    }
  }
}

function isOurs(gateway: Gateway): boolean {
  return gateway.spec?.gatewayClassName === GATEWAY_CLASS;
}

function notYet(why: string, sinceMs: number, node = ""): Acknowledgement {
  return { kind: "no", nodes: [{ node, why }], sinceMs };
}

/** What a pass may decide upon: whether all have acknowledged, and who refused in which words. Who is still silent changes nothing. */
function signatureOf(verdict: Acknowledgement): string {
  if (verdict.kind !== "no") return verdict.kind;
  const refusals = verdict.nodes.filter(({ why }) => why.startsWith("refused: "));
  return JSON.stringify(refusals);
}
