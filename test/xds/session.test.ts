// Properties of the session against a client model that answers late, rejects now and then, drops its stream and comes back: it never
// holds a route to a cluster, or a cluster's endpoints, that it does not have; and in the end it has what was published last.
import fc from "fast-check";
import { test } from "tap";
import { GroupTable } from "../../src/xds/groups.ts";
import type { ResourceKind, XdsSnapshot } from "../../src/xds/messages.ts";
import {
  REJECTED_RETRY,
  Session,
  type SessionRequest,
  type SessionResponse,
  SUBSCRIBE_WAIT_MS,
} from "../../src/xds/session.ts";
import type { Entry } from "../../src/xds/snapshot.ts";
import { aSnapshot } from "../support/xds.ts";

const GROUP = "g";
const ROUTE = "default/web:8000";
const CLUSTERS = ["a", "b", "c", "d", "e"];

/** A client as Envoy is one: all clusters, endpoints by cluster, one listener, its routes. Keeps what it last accepted. */
class ModelClient {
  readonly groups: GroupTable;
  session: Session;
  /** On the way from client to server, and back. */
  requests: SessionRequest[] = [];
  responses: SessionResponse[] = [];
  held: Record<ResourceKind, Map<string, Entry>> = emptyState();
  versions: Partial<Record<ResourceKind, string>> = {};
  /** The nonce last heard on this stream. */
  nonces: Partial<Record<ResourceKind, string>> = {};
  nowMs = 0;

  /** As Envoy once it runs: clusters are acknowledged only when the endpoints of all of them have come. */
  readonly isLate: boolean;
  heldBack: SessionRequest | undefined;

  constructor(groups: GroupTable, isLate = false) {
    this.groups = groups;
    this.isLate = isLate;
    this.session = new Session(groups.recall(GROUP));
    this.connect();
  }

  /** A new stream: requests and responses on the way are lost, what is held is said. */
  connect(): void {
    this.session = new Session(this.groups.recall(GROUP));
    const publication = this.groups.publication(GROUP);
    if (publication !== undefined) this.session.publish(publication);
    this.responses = [];
    this.nonces = {};
    this.heldBack = undefined;
    this.requests = (["clusters", "endpoints", "listeners", "routes"] as const)
      .filter((kind) => kind === "clusters" || kind === "listeners" || this.names(kind).length > 0)
      .map((kind) => ({ kind, version: this.versions[kind] ?? "", nonce: "", names: this.names(kind) }));
  }

  names(kind: ResourceKind): string[] {
    if (kind === "endpoints") return [...this.held.clusters.keys()];
    return kind === "routes" ? [...this.held.listeners.keys()] : [];
  }

  publish(snapshot: XdsSnapshot): void {
    const { publication } = this.groups.publish(GROUP, snapshot);
    this.session.publish(publication);
    this.step();
  }

  step(): void {
    const sent = this.session.step(this.nowMs);
    for (const { kind, version, holds } of sent) this.groups.remember(GROUP, kind, version, holds);
    this.responses.push(...sent);
  }

  /** The server hears the oldest request on the way. */
  deliverRequest(): boolean {
    const request = this.requests.shift();
    if (request === undefined) return false;
    this.session.request(request, this.nowMs);
    this.step();
    return true;
  }

  /** The client hears the oldest response on the way, and answers. */
  deliverResponse(mayReject: boolean): boolean {
    const response = this.responses.shift();
    if (response === undefined) return false;
    const { kind, version, nonce } = response;
    this.nonces[kind] = nonce;
    if (mayReject && !(this.isLate && kind === "endpoints")) {
      const last = this.versions[kind] ?? "";
      this.requests.push({ kind, version: last, nonce, names: this.names(kind), rejection: "no" });
      return true;
    }
    const isFull = kind === "clusters" || kind === "listeners";
    const held = isFull ? new Map<string, Entry>() : this.held[kind];
    for (const entry of response.entries) held.set(entry.name, entry);
    this.held[kind] = held;
    this.versions[kind] = version;
    const answer = { kind, version, nonce, names: this.names(kind) };
    if (kind === "clusters" && this.isLate) this.heldBack = answer;
    else this.requests.push(answer);
    if (kind === "clusters") this.follow("endpoints");
    if (kind === "listeners") this.follow("routes");
    const isWarm = [...this.held.clusters.keys()].every((name) => this.held.endpoints.has(name));
    if (this.heldBack !== undefined && isWarm) {
      this.requests.push(this.heldBack);
      this.heldBack = undefined;
    }
    return true;
  }

  /** Subscribes to what was just named, with the nonce last heard, as a client does. */
  follow(kind: ResourceKind): void {
    const names = new Set(this.names(kind));
    for (const name of [...this.held[kind].keys()]) if (!names.has(name)) this.held[kind].delete(name);
    const nonce = this.nonces[kind] ?? "";
    this.requests.push({ kind, version: this.versions[kind] ?? "", nonce, names: [...names] });
  }

  /** Names of clusters that the held routes name and the client lacks (or lacks the endpoints of). */
  dangling(): string[] {
    const named = [...this.held.routes.values()].flatMap((entry) => entry.refersTo);
    return named.filter((name) => !this.held.clusters.has(name) || !this.held.endpoints.has(name));
  }
}

function emptyState(): Record<ResourceKind, Map<string, Entry>> {
  return { clusters: new Map(), endpoints: new Map(), listeners: new Map(), routes: new Map() };
}

type Step =
  | { readonly kind: "publish"; readonly weights: Readonly<Record<string, number>> }
  | { readonly kind: "request" }
  | { readonly kind: "response"; readonly isRejected: boolean }
  | { readonly kind: "settle" }
  | { readonly kind: "reconnect" };

const weights = fc.dictionary(fc.constantFrom(...CLUSTERS), fc.integer({ min: 1, max: 9 }), {
  minKeys: 1,
  maxKeys: 4,
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: weights.map((chosen) => ({ kind: "publish" as const, weights: chosen })) },
  { weight: 6, arbitrary: fc.constant({ kind: "request" as const }) },
  { weight: 6, arbitrary: fc.nat(9).map((draw) => ({ kind: "response" as const, isRejected: draw === 0 })) },
  { weight: 4, arbitrary: fc.constant({ kind: "settle" as const }) },
  { weight: 1, arbitrary: fc.constant({ kind: "reconnect" as const }) },
);

function drain(client: ModelClient): void {
  for (let turn = 0; turn < 500; turn += 1) {
    const isMoved = client.deliverRequest() || client.deliverResponse(false);
    assertWhole(client);
    if (isMoved) continue;
    if (client.session.wakeAtMs === undefined) return;
    client.nowMs += SUBSCRIBE_WAIT_MS;
    client.step();
  }
  throw new Error("it never comes to rest");
}

function assertWhole(client: ModelClient): void {
  const dangling = client.dangling();
  if (dangling.length > 0) throw new Error(`routes to ${dangling}, which the client does not have`);
}

function carryOut(client: ModelClient, one: Step): void {
  switch (one.kind) {
    case "publish":
      client.publish(aSnapshot(one.weights));
      break;
    case "request":
      client.deliverRequest();
      break;
    case "response":
      client.deliverResponse(one.isRejected);
      break;
    case "settle":
      drain(client);
      break;
    case "reconnect":
      client.connect();
  }
}

test("session: a client never holds a route to a cluster that it does not have, and ends up with the newest", (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), weights, fc.boolean(), (steps, last, isLate) => {
      const client = new ModelClient(new GroupTable(), isLate);
      for (const one of steps) {
        carryOut(client, one);
        assertWhole(client);
      }
      drain(client);
      // Content that was never rejected, so that nothing may hold it back.
      client.publish(aSnapshot({ ...last, last: 1 + steps.length }));
      drain(client);
      const publication = client.groups.publication(GROUP);
      if (client.session.ackedSeq !== publication?.seq)
        throw new Error(`in force: ${client.session.ackedSeq}`);
      const names = (entries: Iterable<string>): string => [...entries].sort().join();
      if (names(client.held.clusters.keys()) !== names(publication.entries.clusters.keys()))
        throw new Error(`clusters left: ${names(client.held.clusters.keys())}`);
      if (client.held.routes.get(ROUTE)?.hash !== publication.entries.routes.get(ROUTE)?.hash)
        throw new Error("old routes");
    }),
    { numRuns: 1000, seed: 7 },
  );
  t.pass("1000 histories");
  t.end();
});

test("session: rejected content is not sent again, whatever else is asked", (t) => {
  const groups = new GroupTable();
  const client = new ModelClient(groups);
  client.publish(aSnapshot({ a: 1 }));
  drain(client);
  client.publish(aSnapshot({ a: 2 }));
  client.deliverResponse(true);
  let sent = 0;
  for (let turn = 0; turn < 50; turn += 1) {
    client.deliverRequest();
    client.publish(aSnapshot({ a: 2 }));
    sent += client.responses.length;
    client.responses = [];
  }
  t.equal(sent, 0);
  t.equal(client.session.ackedSeq, 1);
  client.publish(aSnapshot({ a: 1 }));
  t.equal(client.session.ackedSeq, 3, "back at what it has: in force without a push");
  t.equal(client.session.rejection("routes"), undefined);
  t.end();
});

test("session: what a client could not take for now is offered again after growing pauses", (t) => {
  const groups = new GroupTable();
  const client = new ModelClient(groups);
  client.publish(aSnapshot({ a: 1 }));
  drain(client);
  client.publish(aSnapshot({ a: 2 }));
  const { maxMs } = REJECTED_RETRY;
  for (const pauseMs of [2_000, 4_000, 8_000, 16_000, maxMs, maxMs]) {
    const [offered] = client.responses.splice(0);
    const { nonce = "" } = offered ?? {};
    t.equal(offered?.kind, "routes");
    const answer = {
      kind: "routes",
      version: "",
      nonce,
      names: [ROUTE],
      rejection: "port is taken",
    } as const;
    client.session.request({ ...answer, isTransient: true }, client.nowMs);
    client.step();
    t.equal(client.session.wakeAtMs, client.nowMs + pauseMs);
    client.nowMs += pauseMs - 1;
    client.step();
    t.strictSame(client.responses, []);
    client.nowMs += 1;
    client.step();
    t.equal(client.session.rejection("routes")?.message, "port is taken", "until it is accepted it stands");
  }
  client.deliverResponse(false);
  drain(client);
  t.equal(client.session.ackedSeq, 2);
  t.equal(client.session.rejection("routes"), undefined);
  t.equal(client.session.wakeAtMs, undefined);
  t.end();
});

test("session: a client that never asks for endpoints is waited for within the bound", (t) => {
  const groups = new GroupTable();
  const { publication } = groups.publish(GROUP, aSnapshot({ a: 1 }));
  const session = new Session(groups.recall(GROUP));
  session.publish(publication);
  session.request({ kind: "clusters", version: "", nonce: "", names: [] }, 0);
  session.request({ kind: "listeners", version: "", nonce: "", names: [] }, 0);
  const [clusters] = session.step(0);
  t.equal(clusters?.kind, "clusters");
  session.request(
    { kind: "clusters", version: clusters?.version ?? "", nonce: clusters?.nonce ?? "", names: [] },
    10,
  );
  t.strictSame(session.step(10), []);
  t.equal(session.wakeAtMs, 10 + SUBSCRIBE_WAIT_MS);
  t.strictSame(session.step(9 + SUBSCRIBE_WAIT_MS), []);
  t.match(session.step(10 + SUBSCRIBE_WAIT_MS), [{ kind: "listeners" }]);
  t.equal(session.wakeAtMs, undefined);
  t.end();
});

test("session: only the version of a response accepts it; other names asked for meanwhile do not", (t) => {
  const groups = new GroupTable();
  const client = new ModelClient(groups);
  client.publish(aSnapshot({ a: 1 }));
  drain(client);
  const { session } = client;
  const good = session.acked("routes");
  client.publish(aSnapshot({ a: 2 }));
  const [{ nonce, version } = { nonce: "", version: "" }] = client.responses.splice(0);
  const ask = (names: readonly string[], said: string): string =>
    session.request({ kind: "routes", version: said, nonce, names }, 0);
  t.equal(ask([ROUTE, "other"], good), "subscription");
  t.equal(ask([ROUTE], ""), "subscription", "nor does one that has nothing");
  t.strictSame(session.subscribedRoutes, [ROUTE]);
  t.equal(session.acked("routes"), good);
  client.step();
  t.equal(session.ackedSeq, 1, "it does not count as in force");
  t.strictSame(client.responses, [], "nor is more sent before it is answered");
  const refusal = { kind: "routes", version, nonce, names: [ROUTE], rejection: "no" } as const;
  t.equal(session.request(refusal, 0), "nack", "words refuse it, whatever version they come with");
  t.equal(session.acked("routes"), good);
  t.equal(ask([ROUTE], version), "subscription", "it is answered");
  t.end();
});

test("session: what was dropped and asked for again before an answer is sent again", (t) => {
  const groups = new GroupTable();
  const client = new ModelClient(groups);
  client.publish(aSnapshot({ a: 1, b: 1 }));
  drain(client);
  const { session } = client;
  const good = session.acked("endpoints");
  client.publish(aSnapshot({ a: 1, b: 1 }, { ports: { a: [9001] } }));
  const [{ nonce, version } = { nonce: "", version: "" }] = client.responses.splice(0);
  const ask = (names: readonly string[], said: string): string =>
    session.request({ kind: "endpoints", version: said, nonce, names }, 0);
  t.equal(ask(["a"], good), "subscription");
  t.equal(ask(["a", "b"], good), "subscription");
  t.equal(ask(["a", "b"], version), "ack");
  t.match(session.step(0), [{ kind: "endpoints", entries: [{ name: "b" }] }]);
  t.end();
});
