// The client against a control plane with the habits of go-control-plane's snapshot cache: one open question per type, answered as soon as its
// version differs; by name only once every name of the snapshot is asked for; no waiting for acknowledgements from type to type.
import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger, silentLogger } from "../../src/lib/log.ts";
import { createXdsClient, type XdsUpdate } from "../../src/xds/client.ts";
import {
  type DiscoveryRequest,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from "../../src/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { DISCOVERY } from "../../src/xds/services.ts";
import { clustersOf } from "../../src/xds/snapshot.ts";
import {
  type Any,
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  create,
  ListenerSchema,
  NodeSchema,
  pack,
  type ResourceKind,
  RouteConfigurationSchema,
  TYPE_URLS,
  type XdsSnapshot,
} from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { until } from "../support/web.ts";
import { aSnapshot } from "../support/xds.ts";

type Stream = ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>;
const KINDS: readonly ResourceKind[] = ["clusters", "endpoints", "listeners", "routes"];
const OLD = "default/shop:80/aaa";
const NEW = "default/shop:80/bbb";

/** See the head of this file. */
class SnapshotCache {
  readonly rejections: string[] = [];
  readonly #server = new Server();
  readonly #open = new Map<ResourceKind, DiscoveryRequest>();
  readonly #names = new Map<ResourceKind, readonly string[]>();
  #stream: Stream | undefined;
  #version = "";
  #resources: Readonly<Record<ResourceKind, ReadonlyMap<string, Any>>> | undefined;
  #nonce = 0;
  #bad: { readonly kind: ResourceKind; readonly version: string } | undefined;

  /** Its address. */
  async listen(t: Test): Promise<string> {
    this.#server.addService(DISCOVERY, {
      StreamAggregatedResources: (stream: Stream) => {
        this.#stream = stream;
        this.#open.clear();
        stream.on("data", (request: DiscoveryRequest) => this.#ask(request));
        stream.on("error", () => undefined);
        stream.on("end", () => stream.end());
      },
    });
    t.teardown(() => this.#server.forceShutdown());
    return new Promise((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(`127.0.0.1:${port}`) : reject(error),
      );
    });
  }

  /** Every type gets that version at once. */
  set(version: string, snapshot: XdsSnapshot): void {
    this.#bad = undefined;
    this.#version = version;
    this.#resources = {
      clusters: packed(ClusterSchema, snapshot.clusters, nameOf),
      endpoints: packed(ClusterLoadAssignmentSchema, snapshot.endpoints, ({ clusterName }) => clusterName),
      listeners: packed(ListenerSchema, snapshot.listeners, nameOf),
      routes: packed(RouteConfigurationSchema, snapshot.routes, nameOf),
    };
    for (const kind of KINDS) this.#answer(kind);
  }

  /** Other listeners under the version at hand, and nothing else. */
  sendListeners({ listeners }: XdsSnapshot): void {
    this.#send("listeners", this.#version, [...packed(ListenerSchema, listeners, nameOf).values()]);
  }

  /**
   * Every question is answered with what no client takes, at once and again after each refusal, as the cache of a snapshot does; each time
   * under another version.
   */
  setBad(kind: ResourceKind, version: string): void {
    this.#bad = { kind, version };
    this.#answer(kind);
  }

  /** The names last asked for. */
  askedFor(kind: ResourceKind): readonly string[] {
    return this.#names.get(kind) ?? [];
  }

  /** The same resource twice in one answer, as no cache would send it. */
  sendTwice(kind: ResourceKind, version: string): void {
    const [first] = this.#resources?.[kind].values() ?? [];
    if (first !== undefined) this.#send(kind, version, [first, first]);
  }

  #ask(request: DiscoveryRequest): void {
    const kind = KINDS.find((one) => TYPE_URLS[one] === request.typeUrl);
    if (kind === undefined) return;
    if (request.errorDetail !== undefined) this.rejections.push(request.errorDetail.message);
    this.#open.set(kind, request);
    this.#names.set(kind, request.resourceNames);
    this.#answer(kind);
  }

  #answer(kind: ResourceKind): void {
    const asked = this.#open.get(kind);
    const resources = this.#resources?.[kind];
    if (asked !== undefined && this.#bad?.kind === kind) {
      this.#open.delete(kind);
      this.sendTwice(kind, `${this.#bad.version}-${this.#nonce}`);
      return;
    }
    if (asked === undefined || resources === undefined || asked.versionInfo === this.#version) return;
    const isByName = kind === "endpoints" || kind === "routes";
    const names = new Set(asked.resourceNames);
    if (isByName && ![...resources.keys()].every((name) => names.has(name))) return;
    this.#open.delete(kind);
    this.#send(kind, this.#version, [...resources.values()]);
  }

  #send(kind: ResourceKind, version: string, resources: readonly Any[]): void {
    this.#nonce += 1;
    this.#stream?.write(
      create(DiscoveryResponseSchema, {
        typeUrl: TYPE_URLS[kind],
        versionInfo: version,
        nonce: String(this.#nonce),
        resources: [...resources],
      }),
    );
  }
}

const nameOf = ({ name }: { readonly name: string }): string => name;

/** Resources as they are sent, by name. */
function packed<Desc extends DescMessage>(
  schema: Desc,
  items: readonly MessageShape<Desc>[],
  keyOf: (item: MessageShape<Desc>) => string,
): ReadonlyMap<string, Any> {
  return new Map(items.map((item) => [keyOf(item), pack(schema, item)]));
}

test("foreign: a snapshot cache brings every change in force, and no route ever lacks its clusters", async (t) => {
  const cache = new SnapshotCache();
  const updates: XdsUpdate[] = [];
  const holes: string[] = [];
  const client = createXdsClient({
    addresses: [await cache.listen(t)],
    node: create(NodeSchema, { id: "n", cluster: "g" }),
    clock: systemClock,
    log: silentLogger,
    onUpdate(update) {
      updates.push(update);
      const known = new Set(update.clusters.map(({ name }) => name));
      const served = new Set(update.endpoints.map(({ clusterName }) => clusterName));
      for (const name of update.routes.flatMap(clustersOf))
        if (!known.has(name) || !served.has(name)) holes.push(`${update.changed}: ${name}`);
      return { kind: "ok" };
    },
  });
  t.teardown(() => client.close());
  client.start();
  const isInForce = (version: string) =>
    until(`version ${version}`, async () =>
      Object.values(client.status().versions).every((one) => one === version) ? true : undefined,
    );
  const ports = { [OLD]: [1], [NEW]: [2] };
  const steps: readonly Readonly<Record<string, number>>[] = [
    { [OLD]: 100 },
    { [OLD]: 90, [NEW]: 10 },
    { [OLD]: 10, [NEW]: 90 },
    { [NEW]: 100 },
    { [OLD]: 100 },
  ];
  for (const [index, weights] of steps.entries()) {
    const version = String(index + 1);
    cache.set(version, aSnapshot(weights, { port: 0, ports }));
    await isInForce(version);
    t.strictSame(
      updates
        .at(-1)
        ?.clusters.map(({ name }) => name)
        .sort(),
      Object.keys(weights).sort(),
      "what nobody needs is gone",
    );
  }
  t.strictSame(holes, []);
  t.strictSame(cache.rejections, []);

  cache.sendTwice("clusters", "6");
  await until("it is rejected", async () => (cache.rejections.length > 0 ? true : undefined));
  t.match(cache.rejections, [/resources\[1\] repeats the name "default\/shop:80\/aaa"/]);
  t.equal(client.status().versions.clusters, "5", "what was in force still is");
  cache.set("7", aSnapshot({ [NEW]: 100 }, { port: 0, ports }));
  await isInForce("7");
  t.strictSame(client.status().rejections, {});
  t.strictSame(holes, []);
});

test("foreign: a cache that answers a refusal with what was refused is told so ever more slowly, until it is mended", async (t) => {
  const cache = new SnapshotCache();
  const clock = createManualClock();
  const warnings: string[] = [];
  const client = createXdsClient({
    addresses: [await cache.listen(t)],
    node: create(NodeSchema, { id: "n", cluster: "g" }),
    clock,
    log: createLogger({ level: "warn", write: (line) => void warnings.push(line) }),
    onUpdate: () => ({ kind: "ok" }),
  });
  t.teardown(() => client.close());
  client.start();
  const isTrue = (words: string, look: () => boolean) => until(words, async () => look() || undefined);
  const isInForce = (version: string) =>
    isTrue(`version ${version}`, () => client.status().versions.clusters === version);
  cache.set("1", aSnapshot({ [OLD]: 100 }));
  await isInForce("1");
  await isTrue("all is in force", () => Object.values(client.status().versions).every((one) => one === "1"));
  await clock.advance(60_000);
  cache.setBad("clusters", "2");
  for (const [index, pauseMs] of [200, 400, 800, 1_600, 3_200, 5_000, 5_000].entries()) {
    await isTrue("the same came again and waits", () => clock.pending === 1);
    await clock.advance(pauseMs - 1);
    t.equal(cache.rejections.length, index + 1);
    await clock.advance(1);
    await isTrue("it is refused again", () => cache.rejections.length === index + 2);
  }
  t.equal(warnings.length, 1, "one line in the log");
  await isTrue("the same came again and waits", () => clock.pending === 1);
  cache.set("3", aSnapshot({ [NEW]: 100 }));
  await clock.advance(5_000);
  await isInForce("3");
  t.strictSame(client.status().rejections, {});
});

test("foreign: names that change while a refusal waits are asked for along with it", async (t) => {
  const cache = new SnapshotCache();
  const clock = createManualClock();
  const client = createXdsClient({
    addresses: [await cache.listen(t)],
    node: create(NodeSchema, { id: "n", cluster: "g" }),
    clock,
    log: silentLogger,
    onUpdate: () => ({ kind: "ok" }),
  });
  t.teardown(() => client.close());
  client.start();
  const isTrue = (words: string, look: () => boolean) => until(words, async () => look() || undefined);
  cache.set("1", aSnapshot({ [OLD]: 100 }));
  await isTrue("all is in force", () => Object.values(client.status().versions).every((one) => one === "1"));
  await clock.advance(60_000);
  cache.setBad("routes", "2");
  await isTrue("the same came again and waits", () => clock.pending === 1);
  t.equal(cache.rejections.length, 1);
  cache.sendListeners(aSnapshot({}, { listener: "other" }));
  await isTrue("it is refused again, before its time", () => cache.rejections.length === 2);
  t.strictSame(cache.askedFor("routes"), ["other"]);
});
