// Keeps the proxies' snapshots up to date with the cluster and the Rollouts' intents, and tells which intents are in force.
// A Gateway is rendered once in the turn of the event loop in which something changed that its last rendering had read; equal content is no new
// publication. The intent of a Rollout is whatever its last pass set, never something read back from a cache, so an older cache cannot
// bring an older weight back. What cannot be published leaves the last good configuration in force, and is said.
import type { Acknowledgement, TrafficIntent } from "../api/api.ts";
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
  /** When the intent of `key` last changed in this process. */
  changedAtMs(key: string): number | undefined;
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
  const { caches, clock, records, server } = deps;
  const intents = new Map<string, Intent>();
  const groups = new Map<string, Group>();
  const endings: (() => void)[] = [];
  const dirty = new Set<string>();
  let isStarted = false;
  let isStopped = false;
  let scheduled: NodeJS.Immediate | undefined;

  const verdictOf = (key: string, { intent, sinceMs, isPending }: Intent): Acknowledgement => {
    if (isPending) return notYet("the weights are being published", sinceMs);
    const states: GroupState[] = [];
    let failure: string | undefined;
    for (const group of groups.values()) {
      const state = group.stateOf(key, intent);
      failure ??= group.failure;
      if (state.kind === "unpublished") return notYet(state.why, sinceMs, group.name);
      if (state.kind === "carried") states.push(state.state);
    }
    if (states.length === 0 && failure !== undefined) return notYet(failure, sinceMs);
    return acknowledgementOf(states, sinceMs);
  };
  const tellChanges = (keys: Iterable<string>): void => {
    for (const key of keys) {
      const entry = intents.get(key);
      if (entry === undefined) continue;
      const verdict = verdictOf(key, entry);
      const signature = signatureOf(verdict);
      if (signature === entry.told) continue;
      if (verdict.kind === "yes" && !entry.wasInForce) deps.onInForce?.(key, clock.nowMs() - entry.sinceMs);
      entry.wasInForce ||= verdict.kind === "yes";
      entry.told = signature;
      deps.onAcknowledgement(key);
    }
  };

  const isOurs = (gateway: ReturnType<typeof caches.gateways.list>[number]): boolean =>
    gateway.spec.gatewayClassName === GATEWAY_CLASS;
  const render = (): void => {
    scheduled = undefined;
    if (!isStarted || isStopped) return;
    const all = [...intents.values()].map(({ intent }) => intent);
    const gateways = caches.gateways.list().filter(isOurs);
    for (const gateway of gateways) {
      const name = groupOf(gateway);
      let group = groups.get(name);
      if (group === undefined) {
        group = createGroup(deps, name, () => tellChanges(groups.get(name)?.carries() ?? []));
        groups.set(name, group);
      } else if (!dirty.has(name)) continue;
      group.render(gateway, all, (key) => intents.get(key)?.intent);
    }
    dirty.clear();
    for (const entry of intents.values()) entry.isPending = false;
    const present = new Set(gateways.map(groupOf));
    for (const [name, group] of groups) {
      if (present.has(name)) continue;
      // The Gateway's deletion was observed: caches are complete before anything is rendered.
      groups.delete(name);
      group.remove();
    }
    tellChanges(intents.keys());
  };
  const schedule = (names: Iterable<string>): void => {
    for (const name of names) dirty.add(name);
    if (!isStarted || isStopped) return;
    scheduled ??= setImmediate(render);
  };
  const onChange = (changed: Changed): void => {
    const concerned = [...groups.values()].filter((group) => group.reads(changed)).map(({ name }) => name);
    if (changed.kind === "Gateway") concerned.push(`gateway/${changed.name}`);
    if (concerned.length > 0) schedule(concerned);
  };

  return {
    setIntent(key, intent) {
      const before = intents.get(key);
      if (before !== undefined && jsonEqual(before.intent, intent)) return;
      intents.set(key, { intent, sinceMs: clock.nowMs(), isPending: true, told: "", wasInForce: false });
      schedule(groups.keys());
    },
    removeIntent(key) {
      if (intents.delete(key)) schedule(groups.keys());
    },
    published: (key) => intents.get(key)?.intent,
    changedAtMs: (key) => intents.get(key)?.sinceMs,
    acknowledgement(key) {
      const entry = intents.get(key);
      return entry === undefined ? notYet("nothing is published yet", clock.nowMs()) : verdictOf(key, entry);
    },
    async start() {
      await records.load();
      if (isStopped) return;
      isStarted = true;
      endings.push(watchChanges(caches, onChange));
      endings.push(server.onChange((name) => groups.get(name)?.refresh()));
      render();
      for (const name of records.groups()) if (!groups.has(name)) records.forget(name);
    },
    async stop() {
      isStopped = true;
      clearImmediate(scheduled);
      for (const end of endings.splice(0)) end();
      for (const group of groups.values()) group.stop();
      await records.stop();
    },
  };
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
