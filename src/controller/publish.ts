// Keeps the proxies' snapshots up to date with the cluster and the Rollouts' intents, and tells which intents are in force.
// It renders on every change that may matter, at once; equal content is no new publication. The intent of a Rollout is whatever its last pass
// set, never something read back from a cache, so an older cache cannot bring an older weight back.
import {
  type Acknowledgement,
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  SERVICE_NAME_LABEL,
  type TrafficIntent,
} from "../api/api.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { jsonEqual } from "../lib/json.ts";
import type { Logger } from "../lib/log.ts";
import {
  GATEWAY_CLASS,
  groupOf,
  type Problem,
  type TranslateInput,
  translateGateway,
} from "../translate/translate.ts";
import type { XdsSnapshot } from "../xds/types.ts";
import type { Caches } from "./caches.ts";
import type { EventRecorder } from "./events.ts";
import type { NodeRecords } from "./noderecords.ts";
import { acknowledgementOf, type GroupState, type Member, type NodeState, updateMembers } from "./nodes.ts";

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
  /** Begins to render; call when the caches have synced and every Rollout has been reconciled once. */
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
  /** Called with the key of every Rollout whose acknowledgement may have changed. */
  readonly onAcknowledgement: (key: string) => void;
}

interface Group {
  readonly name: string;
  members: readonly Member[];
  isRecorded: boolean;
  /** For each Rollout that the group carries: the first publication with its present intent. */
  readonly carried: Map<
    string,
    { readonly intent: TrafficIntent; readonly sequence: number; readonly atMs: number }
  >;
  problems: readonly Problem[];
  expiry?: Timer;
}

interface Intent {
  readonly intent: TrafficIntent;
  readonly sinceMs: number;
}

/** Makes a publisher that renders nothing yet. */
export function createPublisher(deps: PublisherDeps): Publisher {
  const { caches, clock, server } = deps;
  const intents = new Map<string, Intent>();
  const groups = new Map<string, Group>();
  const endings: (() => void)[] = [];
  let isStarted = false;
  let isScheduled = false;

  const groupNamed = (name: string): Group => {
    let group = groups.get(name);
    if (group === undefined) {
      group = {
        name,
        members: deps.records.known(name, clock.nowMs()),
        isRecorded: true,
        carried: new Map(),
        problems: [],
      };
      groups.set(name, group);
    }
    return group;
  };

  const renderGateway = (gateway: ReturnType<Caches["gateways"]["list"]>[number]): void => {
    const group = groupNamed(groupOf(gateway));
    const all = [...intents.values()].map(({ intent }) => intent);
    const { snapshot, rollouts, problems } = translateGateway(inputFor(deps, gateway, all));
    const sequence = server.setSnapshot(group.name, snapshot);
    const atMs = clock.nowMs();
    for (const key of rollouts) {
      const intent = intents.get(key)?.intent;
      const before = group.carried.get(key);
      if (intent === undefined || (before !== undefined && before.intent === intent)) continue;
      group.carried.set(key, { intent, sequence, atMs });
    }
    for (const key of group.carried.keys()) if (!rollouts.includes(key)) group.carried.delete(key);
    tellProblems(deps, group.problems, problems);
    group.problems = problems;
  };

  const render = (): void => {
    isScheduled = false;
    if (!isStarted) return;
    const gateways = caches.gateways
      .list()
      .filter((gateway) => gateway.spec.gatewayClassName === GATEWAY_CLASS);
    gateways.forEach(renderGateway);
    const present = new Set(gateways.map(groupOf));
    for (const group of [...groups.values()]) {
      if (present.has(group.name)) continue;
      // The Gateway's deletion was observed: caches are complete before anything is rendered.
      server.removeGroup(group.name);
      group.expiry?.cancel();
      deps.records.forget(group.name);
      groups.delete(group.name);
    }
  };
  const schedule = (): void => {
    if (isScheduled || !isStarted) return;
    isScheduled = true;
    queueMicrotask(render);
  };

  const tellRollouts = (group: Group): void => {
    for (const key of group.carried.keys()) deps.onAcknowledgement(key);
  };
  const refreshMembers = (group: Group): void => {
    const change = updateMembers(group.members, server.nodes(group.name), clock.nowMs());
    group.members = change.members;
    group.expiry?.cancel();
    if (change.nextExpiryMs !== undefined) {
      group.expiry = clock.after(Math.max(change.nextExpiryMs - clock.nowMs(), 1), () =>
        refreshMembers(group),
      );
    }
    if (change.hasChanged) {
      group.isRecorded = false;
      deps.records.write(group.name, group.members, () => {
        group.isRecorded = true;
        tellRollouts(group);
      });
    }
    tellRollouts(group);
  };

  return {
    setIntent(key, intent) {
      const before = intents.get(key);
      if (before !== undefined && jsonEqual(before.intent, intent)) return;
      intents.set(key, { intent, sinceMs: clock.nowMs() });
      render();
    },
    removeIntent(key) {
      if (intents.delete(key)) schedule();
    },
    published: (key) => intents.get(key)?.intent,
    changedAtMs: (key) => intents.get(key)?.sinceMs,
    acknowledgement(key) {
      const entry = intents.get(key);
      if (entry === undefined) {
        return {
          kind: "no",
          nodes: [{ node: "-", why: "nothing is published yet" }],
          sinceMs: clock.nowMs(),
        };
      }
      return acknowledgementOf(statesOf(groups.values(), key, server), entry.sinceMs);
    },
    async start() {
      await deps.records.load();
      isStarted = true;
      const matters = [
        caches.gateways,
        caches.httpRoutes,
        caches.services,
        caches.endpointSlices,
        caches.pods,
      ];
      for (const view of matters) endings.push(view.subscribe(schedule));
      endings.push(
        server.onChange((name) => {
          const group = groups.get(name);
          if (group !== undefined) refreshMembers(group);
        }),
      );
      render();
      for (const group of groups.values()) refreshMembers(group);
    },
    async stop() {
      isStarted = false;
      for (const end of endings.splice(0)) end();
      for (const group of groups.values()) group.expiry?.cancel();
      await deps.records.stop();
    },
  };
}

function statesOf(groups: Iterable<Group>, key: string, server: SnapshotServer): GroupState[] {
  const states: GroupState[] = [];
  for (const { name, members, isRecorded, carried } of groups) {
    const entry = carried.get(key);
    if (entry === undefined) continue;
    const { sequence, atMs } = entry;
    states.push({
      group: name,
      members,
      isRecorded,
      nodes: server.nodes(name),
      sequence,
      publishedAtMs: atMs,
    });
  }
  return states;
}

function inputFor(
  { caches, bindAddress }: PublisherDeps,
  gateway: TranslateInput["gateway"],
  intents: readonly TrafficIntent[],
): TranslateInput {
  const ofService = (namespace: string, service: string): readonly KubeObject[] =>
    caches.endpointSlices.store.byLabel(SERVICE_NAME_LABEL, service, namespace);
  return {
    gateway,
    bindAddress,
    intents,
    httpRoutes: caches.httpRoutes.list(),
    service: (namespace, name) => caches.services.get(namespace, name),
    slices: (namespace, service) => ofService(namespace, service).map(caches.endpointSlices.read),
    podHash: (namespace, pod) =>
      caches.pods.store.get(`${namespace}/${pod}`)?.metadata.labels?.[POD_HASH_LABEL],
  };
}

/** Says once what a manifest asks for and does not get: in the log, and as an event on the object. */
function tellProblems(deps: PublisherDeps, before: readonly Problem[], now: readonly Problem[]): void {
  for (const problem of now) {
    if (before.some((known) => jsonEqual(known, problem))) continue;
    const { about, field, message } = problem;
    deps.log.warn("not carried out", { about, field, why: message });
    const [kind = "", key = ""] = about.split(" ");
    const [type, view] =
      kind === "Gateway"
        ? ([RESOURCES.gateway, deps.caches.gateways] as const)
        : ([RESOURCES.httpRoute, deps.caches.httpRoutes] as const);
    const object = view.store.get(key);
    if (object === undefined) continue;
    void deps.events.record(type, object, {
      type: "Warning",
      reason: "NotCarriedOut",
      message: `${field}: ${message}`,
    });
  }
}
