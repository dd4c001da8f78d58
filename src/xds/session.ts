// One client on one stream, as a state machine: it takes discovery requests and publications and says which responses to send now.
// It keeps make before break (clusters and endpoints, then listeners, then routes, and only then removals), one response outstanding
// per kind, and does not repeat what was rejected, unless the client says that it may succeed later (a port that another process has): then
// it is offered again after a growing pause. Pure: time comes as `nowMs`, the timer it needs goes out as `wakeAtMs`.
//
//   publish ─▶ clusters, endpoints ─both acked▶ listeners ─ack▶ routes ─ack▶ in force ─▶ clusters without the old ones
import { backoffMs } from "../lib/backoff.ts";
import type { ResourceKind } from "./messages.ts";
import {
  type Entries,
  type Entry,
  emptyAssignment,
  NO_ENTRIES,
  type Publication,
  versionOf,
} from "./snapshot.ts";

/** How long the next kind waits for a client to subscribe to the endpoints of clusters it was given. gRPC clients never ask for all. */
export const SUBSCRIBE_WAIT_MS = 2_000;
/** Pauses before content that a client could not take for now is offered again. */
export const REJECTED_RETRY = { baseMs: 2_000, maxMs: 30_000 } as const;
/** Resource names that one client may ask for of one kind; a client that asks for more is cut off. */
export const MAX_NAMES = 100_000;

/** What a client says of one kind, in the words of a DiscoveryRequest. */
export interface SessionRequest {
  readonly kind: ResourceKind;
  readonly version: string;
  readonly nonce: string;
  readonly names: readonly string[];
  /** The client's words, when it rejects the response of that nonce. */
  readonly rejection?: string;
  /** The same content may be accepted later. */
  readonly isTransient?: boolean;
}

export interface SessionResponse {
  readonly kind: ResourceKind;
  readonly version: string;
  readonly nonce: string;
  readonly entries: readonly Entry[];
  /** All that the client has of this kind once it accepts: what `version` stands for. */
  readonly holds: Entries;
}

/** What a request meant. `stale` answers a response that is not the latest: it changes nothing. */
export type RequestMeaning = "first" | "ack" | "nack" | "subscription" | "stale";

export interface Rejection {
  readonly version: string;
  readonly message: string;
  readonly atMs: number;
}

/** Looks up what was sent under a version before, on any stream of the group. */
export type Recall = (kind: ResourceKind, version: string) => Entries | undefined;

interface KindState {
  isSubscribed: boolean;
  isWildcard: boolean;
  names: ReadonlySet<string>;
  /** Names were taken back since the last response: the version that the client has stands for more than it holds. */
  hasShrunk: boolean;
  nonce: string;
  /** Version of the response that is not answered yet. */
  outstanding: string | undefined;
  /** What the client holds for sure, and what it holds once it accepts the outstanding response. */
  acked: Entries;
  sent: Entries;
  /** What it rejected last: some of it may be in force nevertheless. */
  doubtful: Entries;
  ackedVersion: string;
  /** Version that the client says it has, from a stream before this one; until it is looked up. */
  claimed: string;
  rejection: Rejection | undefined;
  /** How often in a row the version of `rejection` was rejected for reasons that may pass; 0: for others. */
  transientCount: number;
}

const ORDER: readonly ResourceKind[] = ["clusters", "endpoints", "listeners", "routes"];

const freshState = (): KindState => ({
  isSubscribed: false,
  isWildcard: false,
  names: new Set(),
  hasShrunk: false,
  nonce: "",
  outstanding: undefined,
  acked: NO_ENTRIES,
  sent: NO_ENTRIES,
  doubtful: NO_ENTRIES,
  ackedVersion: "",
  claimed: "",
  rejection: undefined,
  transientCount: 0,
});

export class Session {
  readonly #recall: Recall;
  readonly #states: Readonly<Record<ResourceKind, KindState>> = {
    clusters: freshState(),
    endpoints: freshState(),
    listeners: freshState(),
    routes: freshState(),
  };
  #target: Publication | undefined;
  #sendCount = 0;
  #ackedSeq = 0;
  /** Assignments to answer again though they are unchanged: a client warms a changed cluster until it hears of its endpoints. */
  #repeat = new Set<string>();
  /** The assignments of the clusters last sent. */
  #answers: Entries = NO_ENTRIES;
  /** The client came back with endpoints of a version that is not remembered here. */
  #holdsUnknownEndpoints = false;
  /** Until when the publication of `seq` waits for subscriptions. */
  #deadline: { readonly seq: number; readonly atMs: number } | undefined;
  #isWaiting = false;
  /** When content that was rejected is due again. */
  #retryAtMs: number | undefined;
  #cameWithContent = false;

  constructor(recall: Recall) {
    this.#recall = recall;
  }

  /** The highest publication that the client has in force, routes and all they depend on; 0: none. */
  get ackedSeq(): number {
    return this.#ackedSeq;
  }

  /** Whether the client named a version with its first requests: something older may be in force in it. */
  get cameWithContent(): boolean {
    return this.#cameWithContent;
  }

  /** When `step` must run again though nothing was heard. */
  get wakeAtMs(): number | undefined {
    const waitsUntilMs = this.#isWaiting ? this.#deadline?.atMs : undefined;
    if (waitsUntilMs === undefined || this.#retryAtMs === undefined) return waitsUntilMs ?? this.#retryAtMs;
    return Math.min(waitsUntilMs, this.#retryAtMs);
  }

  get subscribedRoutes(): readonly string[] {
    return [...this.#states.routes.names].sort();
  }

  acked(kind: ResourceKind): string {
    return this.#states[kind].ackedVersion;
  }

  rejection(kind: ResourceKind): Rejection | undefined {
    return this.#states[kind].rejection;
  }

  /** Sets what the client should have. */
  publish(publication: Publication): void {
    this.#target = publication;
  }

  /** Takes a request; `step` then says what to send. */
  request(request: SessionRequest, nowMs: number): RequestMeaning {
    const state = this.#states[request.kind];
    if (request.nonce !== "" && request.nonce !== state.nonce) return "stale";
    const isFirst = !state.isSubscribed;
    this.#subscribe(state, request);
    if (isFirst && request.nonce === "") {
      state.claimed = request.version;
      this.#cameWithContent ||= request.version !== "";
      return "first";
    }
    if (request.nonce === "" || state.outstanding === undefined) return "subscription";
    const version = state.outstanding;
    // Names may change before the response is answered: then the version is the one that was in force before it.
    // Source: Envoy: docs, xDS protocol, "ACK/NACK and resource type instance version".
    if (request.rejection === undefined && request.version !== version) return "subscription";
    state.outstanding = undefined;
    if (request.rejection !== undefined) {
      const before = state.rejection?.version === version ? state.transientCount : 0;
      state.transientCount = request.isTransient === true ? before + 1 : 0;
      state.rejection = { version, message: request.rejection, atMs: nowMs };
      state.doubtful = state.sent;
      state.sent = state.acked;
      return "nack";
    }
    state.acked = this.#restrict(state, state.sent);
    state.sent = state.acked;
    state.doubtful = NO_ENTRIES;
    state.ackedVersion = version;
    state.rejection = undefined;
    return "ack";
  }

  /** What to send now, in order. At most one response per kind is outstanding. */
  step(nowMs: number): readonly SessionResponse[] {
    const responses: SessionResponse[] = [];
    const target = this.#target;
    if (target === undefined) return responses;
    this.#isWaiting = false;
    this.#retryAtMs = undefined;
    // Before anything else, so that a client that comes back never claims by its version what it has dropped.
    for (const kind of ["endpoints", "routes"] as const)
      if (this.#states[kind].hasShrunk)
        this.#offer(kind, this.#wantedWhileAdding(kind, target), responses, "all", nowMs);
    let isBlocked = false;
    for (const kind of ORDER) {
      const state = this.#states[kind];
      if (state.isSubscribed) {
        this.#adopt(kind, target);
        const wanted = this.#wantedWhileAdding(kind, target);
        this.#offer(kind, wanted, responses, kind === "clusters" ? "additions" : "all", nowMs);
        if (isUnsettled(state, wanted)) isBlocked = true;
        else if (state.rejection !== undefined && state.rejection.version !== versionOf(wanted))
          state.rejection = undefined;
      }
      // Endpoints follow their clusters at once: Envoy acknowledges clusters only when it has the endpoints of all of them.
      if (kind === "clusters") continue;
      if (isBlocked) return responses;
      if (kind === "endpoints" && this.#waitsForSubscription(target, nowMs)) return responses;
    }
    if (!this.#hasAskedForAllRoutes(target)) return responses;
    this.#ackedSeq = target.seq;
    if (this.#states.clusters.isSubscribed)
      this.#offer("clusters", this.#select("clusters", target.entries.clusters), responses, "all", nowMs);
    return responses;
  }

  /** Sends what differs; with `additions`, what only takes away is left for later. */
  #offer(
    kind: ResourceKind,
    wanted: Entries,
    responses: SessionResponse[],
    which: "additions" | "all",
    nowMs: number,
  ): void {
    const state = this.#states[kind];
    if (state.outstanding !== undefined) return;
    const isFull = kind === "listeners" || kind === "clusters";
    const changed = [...wanted.values()].filter(
      (entry) =>
        state.sent.get(entry.name)?.hash !== entry.hash ||
        (kind === "endpoints" && this.#repeat.has(entry.name)),
    );
    const hasRemoval = isFull && which === "all" && [...state.sent.keys()].some((name) => !wanted.has(name));
    // A first answer is due even when there is nothing to say: the client waits for it.
    const isFirst = state.nonce === "" && state.ackedVersion === "" && isFull;
    const isRefresh = !isFull && state.hasShrunk && state.names.size > 0 && state.ackedVersion !== "";
    if (changed.length === 0 && !hasRemoval && !isFirst && !isRefresh) return;
    const version = versionOf(wanted);
    if (state.rejection?.version === version && !this.#mayRetry(kind, nowMs)) return;
    if (kind === "clusters") this.#expectQuestions(changed, wanted);
    if (kind === "endpoints") for (const entry of changed) this.#repeat.delete(entry.name);
    state.hasShrunk = false;
    this.#sendCount += 1;
    state.nonce = String(this.#sendCount);
    state.outstanding = version;
    state.sent = wanted;
    responses.push({
      kind,
      version,
      nonce: state.nonce,
      entries: isFull ? [...wanted.values()] : changed,
      holds: wanted,
    });
  }

  /** Whether what was rejected may be offered again now. */
  #mayRetry(kind: ResourceKind, nowMs: number): boolean {
    const { rejection, transientCount } = this.#states[kind];
    if (rejection === undefined || transientCount === 0) return false;
    const atMs = rejection.atMs + backoffMs(transientCount - 1, REJECTED_RETRY);
    if (nowMs >= atMs) return true;
    this.#retryAtMs = Math.min(this.#retryAtMs ?? atMs, atMs);
    return false;
  }

  /** The target, and what the client may still need of the old: clusters that its present routes name, and their endpoints. */
  #wantedWhileAdding(kind: ResourceKind, target: Publication): Entries {
    const entries = target.entries[kind];
    if (kind === "listeners" || kind === "routes") return this.#select(kind, entries);
    const kept = kind === "clusters" ? this.#keptClusters(target) : this.#keptAssignments();
    const union = new Map(entries);
    for (const [name, entry] of kept) if (!union.has(name)) union.set(name, entry);
    return this.#select(kind, union);
  }

  #keptClusters(target: Publication): Entries {
    const { clusters, routes } = this.#states;
    // Which clusters the client's routes name is known once it has acknowledged some; until then it keeps all.
    const isKnown = routes.ackedVersion !== "" && routes.acked !== NO_ENTRIES;
    const held = [routes.acked, routes.sent, routes.doubtful].flatMap((entries) => [...entries.values()]);
    const named = new Set(held.flatMap((entry) => entry.refersTo));
    const isSettled = this.#ackedSeq === target.seq && routes.outstanding === undefined;
    return new Map([...clusters.sent].filter(([name]) => (isKnown || isSettled ? named.has(name) : true)));
  }

  /** What the client will ask for once it has the clusters: changed ones anew, and all of them even if the next publication drops them. */
  #expectQuestions(changed: readonly Entry[], wanted: Entries): void {
    for (const entry of changed) for (const name of entry.refersTo) this.#repeat.add(name);
    const answers = [...wanted.values()]
      .flatMap((entry) => entry.refersTo)
      .map((name) => this.#target?.entries.endpoints.get(name) ?? this.#answers.get(name));
    this.#answers = new Map(answers.flatMap((entry) => (entry === undefined ? [] : [[entry.name, entry]])));
  }

  #keptAssignments(): Entries {
    const { clusters, endpoints } = this.#states;
    const needed = new Set([...clusters.sent.values()].flatMap((entry) => entry.refersTo));
    const kept = new Map([...this.#answers, ...endpoints.sent].filter(([name]) => needed.has(name)));
    if (this.#holdsUnknownEndpoints) return kept;
    // A cluster that goes, and whose endpoints the client never got: it must hear that there are none, or it waits for them.
    for (const name of needed) if (!kept.has(name)) kept.set(name, emptyAssignment(name));
    return kept;
  }

  /** Clients that take all clusters subscribe to the endpoints of each; those that do so late (or never) are waited for within a bound. */
  #waitsForSubscription(target: Publication, nowMs: number): boolean {
    const { clusters, endpoints } = this.#states;
    const isComplete =
      !clusters.isWildcard || [...target.entries.endpoints.keys()].every((name) => endpoints.names.has(name));
    if (isComplete) return false;
    if (this.#deadline?.seq !== target.seq)
      this.#deadline = { seq: target.seq, atMs: nowMs + SUBSCRIBE_WAIT_MS };
    this.#isWaiting = nowMs < this.#deadline.atMs;
    return this.#isWaiting;
  }

  #hasAskedForAllRoutes(target: Publication): boolean {
    const { listeners, routes } = this.#states;
    if (!listeners.isSubscribed) return false;
    if (!listeners.isWildcard) return routes.isSubscribed;
    return [...target.entries.routes.keys()].every((name) => routes.names.has(name));
  }

  #subscribe(state: KindState, { kind, names }: SessionRequest): void {
    const isWildcardKind = kind === "listeners" || kind === "clusters";
    const wanted = new Set(names.filter((name) => name !== "*"));
    const isWildcard =
      isWildcardKind &&
      (names.includes("*") || (names.length === 0 && (!state.isSubscribed || state.isWildcard)));
    const isSame =
      state.isWildcard === isWildcard &&
      wanted.size === state.names.size &&
      [...wanted].every((name) => state.names.has(name));
    state.isSubscribed = true;
    if (isSame) return;
    if ([...state.names].some((name) => !wanted.has(name))) state.hasShrunk = true;
    state.isWildcard = isWildcard;
    state.names = wanted;
    // What it no longer asks for it may have dropped: it is sent again should it ask again.
    state.acked = this.#restrict(state, state.acked);
    state.sent = state.outstanding === undefined ? state.acked : this.#restrict(state, state.sent);
  }

  /** A client that comes back says what it has; when that is known, it need not be sent. */
  #adopt(kind: ResourceKind, target: Publication): void {
    const state = this.#states[kind];
    const { claimed } = state;
    if (claimed === "") return;
    state.claimed = "";
    const current = this.#select(kind, target.entries[kind]);
    const held = versionOf(current) === claimed ? current : this.#recall(kind, claimed);
    if (kind === "endpoints") this.#holdsUnknownEndpoints = held === undefined;
    if (held === undefined) return;
    state.acked = this.#restrict(state, held);
    state.sent = state.acked;
    state.ackedVersion = claimed;
  }

  #select(kind: ResourceKind, entries: Entries): Entries {
    return this.#restrict(this.#states[kind], entries);
  }

  #restrict(state: KindState, entries: Entries): Entries {
    if (state.isWildcard) return entries;
    return new Map([...entries].filter(([name]) => state.names.has(name)));
  }
}

/** Whether later kinds must wait: an answer is outstanding, or the client does not have (refused) what they would build on. */
function isUnsettled(state: KindState, wanted: Entries): boolean {
  if (state.outstanding !== undefined) return true;
  return [...wanted.values()].some((entry) => state.acked.get(entry.name)?.hash !== entry.hash);
}
