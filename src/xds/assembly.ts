// What an xDS client has and is being sent: puts responses together into whole configurations, says which to try next, and what to
// answer. It holds back routes until the clusters they name have endpoints, and keeps clusters that were taken away as long as routes in
// force name them, whatever order a server keeps. Pure: time comes as `nowMs`.
import { createHash } from "node:crypto";
import type { Message } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import { messageOf } from "../lib/errors.ts";
import { type Cluster, Cluster_DiscoveryType } from "./gen/envoy/config/cluster/v3/cluster_pb.ts";
import type { DiscoveryResponse } from "./gen/envoy/service/discovery/v3/discovery_pb.ts";
import {
  RESOURCE_KINDS,
  RESOURCE_SCHEMAS,
  type ResourceKind,
  type ResourceMessages,
  TYPE_URLS,
  type XdsSnapshot,
} from "./messages.ts";
import { clustersOf, routesOf } from "./snapshot.ts";

/** How long routes wait for the endpoints of the clusters they name; then they go in force as they are. */
export const WARMING_MS = 15_000;

/** Stands for the version of what no server has sent. */
const FALLBACK_VERSION = "fallback";
/** Stands for a version that the server leaves empty: here that would mean that nothing came. It is answered as it came. */
const UNNAMED_VERSION = "(unnamed)";

/** A whole configuration to try. Resources that did not change are the same objects as before. */
export interface XdsUpdate extends XdsSnapshot {
  /** What the server sent now; the other kinds are as they were (but for clusters kept or let go because of it). */
  readonly changed: ResourceKind;
  /** Versions as the server named them; the one of `changed` is the new one. Empty: none yet. */
  readonly versions: Readonly<Record<ResourceKind, string>>;
}

/** What to say to the server, in the words of a DiscoveryRequest. */
export interface Answer {
  readonly kind: ResourceKind;
  readonly version: string;
  readonly nonce: string;
  readonly names: readonly string[];
  readonly rejection?: string;
  /** The same content may be accepted later. */
  readonly isTransient?: boolean;
}

/** The answer to a response that is refused. */
export interface Refusal extends Answer {
  readonly rejection: string;
  /** Stands for the resources that came with it, whatever their version and order. */
  readonly content: string;
}

type Resources<Kind extends ResourceKind> = ReadonlyMap<string, ResourceMessages[Kind]>;
type Held = { readonly [Kind in ResourceKind]: Resources<Kind> };

interface Pending {
  readonly kind: ResourceKind;
  readonly version: string;
  readonly response: DiscoveryResponse;
  readonly held: Held;
  /** Until when it may wait for endpoints. */
  readonly deadlineMs: number;
}

const NOTHING: Held = { listeners: new Map(), routes: new Map(), clusters: new Map(), endpoints: new Map() };
const noWords = (): Record<ResourceKind, string> => ({
  listeners: "",
  routes: "",
  clusters: "",
  endpoints: "",
});

export class Assembly {
  /** In force. */
  #held: Held = NOTHING;
  /** Clusters that the server took away and that routes in force name. */
  #kept: Resources<"clusters"> = new Map();
  #pending = new Map<ResourceKind, Pending>();
  /** What the candidate last handed out is made of. */
  #tried: Pending | undefined;
  readonly #versions = noWords();
  /** The nonce last answered on this stream. */
  #nonces = noWords();
  readonly #rejections = new Map<ResourceKind, string>();

  /** Versions in force. */
  get versions(): Readonly<Record<ResourceKind, string>> {
    return { ...this.#versions };
  }

  /** The words of rejections that stand. */
  get rejections(): ReadonlyMap<ResourceKind, string> {
    return this.#rejections;
  }

  /** What would be in force if, of the kinds that no server has sent yet, `fallback` were taken; undefined: there are none to take. */
  beside(fallback: XdsSnapshot): XdsUpdate | undefined {
    const isMissing = (kind: ResourceKind): boolean => this.#versions[kind] === "";
    const isLackingRoutes = isMissing("routes") && this.#names("routes").length > 0;
    if (!isMissing("listeners") && !isMissing("clusters") && !isLackingRoutes) return undefined;
    const versions = { ...this.#versions };
    for (const kind of RESOURCE_KINDS) if (isMissing(kind)) versions[kind] = FALLBACK_VERSION;
    const held = this.#filled(fallback);
    return { changed: "listeners", versions, ...viewOf(held, this.#keptWith(held)) };
  }

  /** What `beside` made is in force. Its kinds are asked for, never acknowledged, and go as servers send their own. */
  adopt(fallback: XdsSnapshot): readonly Answer[] {
    this.#held = this.#filled(fallback);
    return FOLLOWING.filter((kind) => this.#names(kind).length > 0).map((kind) =>
      this.#say(kind, this.#nonces[kind], this.#versions[kind]),
    );
  }

  #filled(fallback: XdsSnapshot): Held {
    const pick = <Kind extends ResourceKind>(
      kind: Kind,
      named: Iterable<[string, ResourceMessages[Kind]]>,
    ) => (this.#versions[kind] === "" ? new Map(named) : this.#held[kind]);
    // What a server has sent piece by piece stands, each kind being none or all of one origin.
    return {
      listeners: pick(
        "listeners",
        fallback.listeners.map((one) => [one.name, one]),
      ),
      routes: pick(
        "routes",
        fallback.routes.map((one) => [one.name, one]),
      ),
      clusters: pick(
        "clusters",
        fallback.clusters.map((one) => [one.name, one]),
      ),
      endpoints: pick(
        "endpoints",
        fallback.endpoints.map((one) => [one.clusterName, one]),
      ),
    };
  }

  /** A new stream: what was being sent is forgotten, what is in force is said. */
  open(): readonly Answer[] {
    this.#pending = new Map();
    this.#tried = undefined;
    this.#nonces = noWords();
    return RESOURCE_KINDS.filter((kind) => isWildcard(kind) || this.#names(kind).length > 0).map((kind) =>
      this.#say(kind, "", this.#versions[kind]),
    );
  }

  /** Takes a response; an answer when it is refused at once. */
  receive(response: DiscoveryResponse, nowMs: number): readonly Refusal[] {
    const kind = RESOURCE_KINDS.find((one) => TYPE_URLS[one] === response.typeUrl);
    // Not asked for: no type that we could answer for.
    if (kind === undefined) return [];
    const before = this.#pending.get(kind);
    try {
      // Of kinds that are sent piece by piece, pieces that wait count as well.
      const base = isWildcard(kind)
        ? new Map()
        : new Map<string, Message>((before?.held ?? this.#held)[kind]);
      for (const [name, resource] of decode(kind, response)) base.set(name, resource);
      this.#pending.set(kind, {
        kind,
        version: response.versionInfo || UNNAMED_VERSION,
        response,
        held: { ...this.#held, [kind]: base },
        deadlineMs: before?.deadlineMs ?? nowMs + WARMING_MS,
      });
      return [];
    } catch (error) {
      this.#pending.delete(kind);
      return [this.#refuse(kind, response, messageOf(error))];
    }
  }

  /** The next configuration to try; undefined while there is none, or while its routes wait for endpoints. */
  candidate(nowMs: number): XdsUpdate | undefined {
    for (const kind of RESOURCE_KINDS) {
      const pending = this.#pending.get(kind);
      if (pending === undefined) continue;
      const held = this.#with(pending);
      if (kind === "routes" && nowMs < pending.deadlineMs && this.#isCold(held)) continue;
      const kept = this.#keptWith(held);
      this.#tried = pending;
      const versions = { ...this.#versions, [kind]: pending.version };
      return { changed: kind, versions, ...viewOf(held, kept) };
    }
    return undefined;
  }

  /** When a candidate that waits now may go on without what it waits for. */
  get wakeAtMs(): number | undefined {
    return this.#pending.get("routes")?.deadlineMs;
  }

  /** The candidate last handed out is in force: what to answer, subscriptions that follow from it included. */
  accept(): readonly Answer[] {
    const pending = this.#take();
    if (pending === undefined) return [];
    const { kind, version, response } = pending;
    const names = new Map(FOLLOWING.map((one) => [one, this.#names(one)]));
    const held = this.#with(pending);
    this.#kept = this.#keptWith(held);
    this.#held = prune(held, this.#kept);
    this.#rejections.delete(kind);
    this.#versions[kind] = version;
    this.#nonces[kind] = response.nonce;
    const following = FOLLOWING.filter(
      (one) => one !== kind && !isSame(names.get(one) ?? [], this.#names(one)),
    );
    return [
      this.#say(kind, response.nonce, version),
      ...following.map((one) => this.#say(one, this.#nonces[one], this.#versions[one])),
    ];
  }

  /** The candidate last handed out was refused: what was in force stays. */
  reject(message: string, isTransient = false): readonly Refusal[] {
    const pending = this.#take();
    if (pending === undefined) return [];
    const answer = this.#refuse(pending.kind, pending.response, message);
    return [isTransient ? { ...answer, isTransient } : answer];
  }

  /** A newer response of the kind, come meanwhile, goes on waiting; on a new stream the candidate belongs to none. */
  #take(): Pending | undefined {
    const tried = this.#tried;
    this.#tried = undefined;
    if (tried !== undefined && this.#pending.get(tried.kind) === tried) this.#pending.delete(tried.kind);
    return tried;
  }

  #refuse(kind: ResourceKind, response: DiscoveryResponse, message: string): Refusal {
    this.#nonces[kind] = response.nonce;
    this.#rejections.set(kind, message);
    const answer = this.#say(kind, response.nonce, this.#versions[kind]);
    return { ...answer, rejection: message, content: contentOf(response) };
  }

  #say(kind: ResourceKind, nonce: string, version: string): Answer {
    return { kind, version: version === UNNAMED_VERSION ? "" : version, nonce, names: this.#names(kind) };
  }

  /** What is asked for by name: the assignments of the clusters, the routes of the listeners. */
  #names(kind: ResourceKind): readonly string[] {
    if (kind === "endpoints")
      return [...new Set([...this.#held.clusters.values()].flatMap(assignmentOf))].sort();
    if (kind === "routes") return [...new Set([...this.#held.listeners.values()].flatMap(routesOf))].sort();
    return [];
  }

  /** What would be in force: other kinds may have moved on since the response came. */
  #with(pending: Pending): Held {
    return { ...this.#held, [pending.kind]: pending.held[pending.kind] };
  }

  #keptWith(held: Held): Resources<"clusters"> {
    const named = new Set([...namedRoutes(held).values()].flatMap(clustersOf));
    const known = [...this.#kept, ...this.#held.clusters];
    return new Map(known.filter(([name]) => named.has(name) && !held.clusters.has(name)));
  }

  #isCold(held: Held): boolean {
    const named = new Set([...namedRoutes(held).values()].flatMap(clustersOf));
    const kept = this.#keptWith(held);
    return [...named].some((name) => {
      const cluster = held.clusters.get(name) ?? kept.get(name);
      return cluster === undefined || assignmentOf(cluster).some((one) => !held.endpoints.has(one));
    });
  }
}

const FOLLOWING: readonly ResourceKind[] = ["endpoints", "routes"];

function isWildcard(kind: ResourceKind): boolean {
  return kind === "listeners" || kind === "clusters";
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index]);
}

function assignmentOf(cluster: Cluster): readonly string[] {
  const { clusterDiscoveryType: type } = cluster;
  if (type.case !== "type" || type.value !== Cluster_DiscoveryType.EDS) return [];
  return [cluster.edsClusterConfig?.serviceName || cluster.name];
}

function contentOf({ resources }: DiscoveryResponse): string {
  const hashes = resources.map(({ value }) => createHash("sha256").update(value).digest("hex"));
  return createHash("sha256").update(hashes.sort().join()).digest("hex");
}

function decode(kind: ResourceKind, response: DiscoveryResponse): ReadonlyMap<string, Message> {
  const decoded = new Map<string, Message>();
  response.resources.forEach((any, index) => {
    if (any.typeUrl !== TYPE_URLS[kind]) throw new Error(`resources[${index}] is of type ${any.typeUrl}`);
    const resource: Message & { readonly name?: string; readonly clusterName?: string } = fromBinary(
      RESOURCE_SCHEMAS[kind],
      any.value,
    );
    const name = resource.name ?? resource.clusterName ?? "";
    if (name === "") throw new Error(`resources[${index}] has no name`);
    // Which of them is meant is anybody's guess.
    if (decoded.has(name)) throw new Error(`resources[${index}] repeats the name ${JSON.stringify(name)}`);
    decoded.set(name, resource);
  });
  return decoded;
}

/** Routes that no listener names and assignments that no cluster waits for are dropped: the server no longer says what becomes of them. */
function prune(held: Held, kept: Resources<"clusters">): Held {
  const assignments = new Set([...held.clusters.values(), ...kept.values()].flatMap(assignmentOf));
  return {
    ...held,
    endpoints: new Map([...held.endpoints].filter(([name]) => assignments.has(name))),
    routes: namedRoutes(held),
  };
}

/** Those that listeners name; all of them while a listener lacks its own: whoever listened in its place serves on, and needs what it had. */
function namedRoutes({ listeners, routes }: Held): Resources<"routes"> {
  const names = new Set([...listeners.values()].flatMap(routesOf));
  const areAllThere = [...names].every((name) => routes.has(name));
  return areAllThere ? new Map([...routes].filter(([name]) => names.has(name))) : routes;
}

function viewOf(held: Held, kept: Resources<"clusters">): XdsSnapshot {
  const { listeners, routes, endpoints } = prune(held, kept);
  return {
    listeners: [...listeners.values()],
    routes: [...routes.values()],
    clusters: [...held.clusters.values(), ...kept.values()],
    endpoints: [...endpoints.values()],
  };
}
