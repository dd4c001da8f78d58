// A proxy without sockets for tests of hedged requests: each connection is an object that stands, answers, breaks and closes when the test says so.
import { silentLogger } from "../../src/lib/log.ts";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { Core } from "../../src/proxy/core.ts";
import { type ClusterOptions, DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { Listener } from "../../src/proxy/http1/listener.ts";
import type { Wire, WireOwner } from "../../src/proxy/wire/wire.ts";
import { fromJson, RouteConfigurationSchema, registry } from "../../src/xds/types.ts";
import { createManualClock, type ManualClock } from "../support/clock.ts";
import type { Json } from "./support.ts";

export const INTERIM = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";

/** A connection in memory, to the client or to an endpoint. */
export class MemoryWire implements Wire {
  owner: WireOwner;
  readonly peerAddress = "192.0.2.1";
  readonly isSecure = false;
  readonly isPending = false;
  hasWritten = false;
  text = "";
  /** The proxy closed it, or the other side did. */
  isOver = false;
  isClosedFor = false;
  isConnected = false;
  answered = 0;
  /** What is left to be sent of an answer that began. */
  rest = "";

  constructor(owner: WireOwner) {
    this.owner = owner;
  }

  get isOpen(): boolean {
    return !this.isOver;
  }

  /** It holds a request, whole, of whose answer nothing was sent. */
  get isAsked(): boolean {
    const asked = this.text.split("\r\n\r\nbody").length - 1;
    return this.isConnected && !this.isOver && this.rest === "" && asked > this.answered;
  }

  write(view: Uint8Array): boolean {
    this.hasWritten = true;
    if (!this.isOver) this.text += Buffer.from(view).toString("latin1");
    return true;
  }

  pause(): void {
    // The test delivers all the same: what was on its way arrives.
  }

  resume(): void {
    // As above.
  }

  end(): void {
    this.isOver = true;
  }

  destroy(): void {
    this.isOver = true;
  }

  reset(): void {
    this.isOver = true;
  }
}

export interface HedgedOptions {
  readonly seed: number;
  /** Fields of the retry policy; default: one retry after 5xx, a second for each try. */
  readonly policy?: Readonly<Record<string, Json>>;
  readonly addresses?: readonly string[];
  readonly cluster?: Partial<ClusterOptions>;
  readonly isHedged?: boolean;
}

/** A proxy before one cluster. The route gives 6 s for the whole answer, a try has one. */
export class HedgedProxy {
  readonly clock: ManualClock = createManualClock();
  readonly core: Core;
  readonly cluster: Cluster;
  /** In the order in which they were begun. */
  readonly upstreams: MemoryWire[] = [];
  readonly clients: MemoryWire[] = [];
  readonly #listener: Listener;

  constructor({
    seed,
    policy = {},
    addresses = ["192.0.2.2", "192.0.2.3"],
    cluster = {},
    isHedged = true,
  }: HedgedOptions) {
    this.core = new Core({
      clock: this.clock,
      log: silentLogger,
      seed,
      connect: (_context, _host, _others, _port, owner) => {
        const wire = new MemoryWire(owner);
        this.upstreams.push(wire);
        return wire;
      },
    });
    this.cluster = new Cluster(this.core, "a", { ...DEFAULT_CLUSTER_OPTIONS, ...cluster });
    this.offer(addresses);
    this.core.clusters.set("a", this.cluster);
    this.#listener = new Listener(this.core, { name: "main", address: "192.0.2.9", port: 0 });
    const route = {
      cluster: "a",
      timeout: "6s",
      retry_policy: { retry_on: "5xx", per_try_timeout: "1s", ...policy },
      hedge_policy: { hedge_on_per_try_timeout: isHedged },
    };
    const routes = {
      virtual_hosts: [{ name: "v", domains: ["*"], routes: [{ match: { prefix: "/" }, route }] }],
    };
    const message = fromJson(RouteConfigurationSchema, routes, { registry });
    this.#listener.hosts = compileRoutes(message, "1", (name, of) => this.core.stats.cell(name, of));
    this.core.deadlines.start();
  }

  /** A client that has connected. */
  join(): MemoryWire {
    let client: MemoryWire | undefined;
    this.#listener.accept((owner) => {
      client = new MemoryWire(owner);
      return client;
    });
    if (client === undefined) throw new Error("no connection");
    this.clients.push(client);
    return client;
  }

  upstream(index: number): MemoryWire {
    const wire = this.upstreams[index];
    if (wire === undefined) throw new Error(`no connection ${index} of ${this.upstreams.length}`);
    return wire;
  }

  /** The connection stands. */
  stand(wire: MemoryWire): void {
    wire.isConnected = true;
    this.turn(() => wire.owner.onConnect());
  }

  /** The endpoints from now on. */
  offer(addresses: readonly string[]): void {
    this.turn(() =>
      this.cluster.update(addresses.map((address) => ({ address, port: 80, isHealthy: true, weight: 1 }))),
    );
  }

  get asked(): readonly MemoryWire[] {
    return this.upstreams.filter(({ isAsked }) => isAsked);
  }

  deliver(wire: MemoryWire, text: string): void {
    const bytes = Buffer.from(text, "latin1");
    this.turn(() => wire.owner.deliver(bytes, 0, bytes.length));
  }

  lose(wire: MemoryWire): void {
    wire.isOver = true;
    this.turn(() => undefined);
  }

  /** A turn of the event loop; whose connection is over hears of it. */
  turn(step: () => void): void {
    step();
    for (let closing = this.#closing(); closing !== undefined; closing = this.#closing()) {
      closing.isClosedFor = true;
      closing.owner.onClose("");
    }
    this.core.outbox.flush();
    this.core.outbox.forgetKept();
    if (this.#closing() !== undefined) this.turn(() => undefined);
  }

  #closing(): MemoryWire | undefined {
    return [...this.clients, ...this.upstreams].find(({ isOver, isClosedFor }) => isOver && !isClosedFor);
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    this.turn(() => undefined);
  }

  /** All clients go and all pooled connections grow old; what is not 0 then, by name. */
  async leftBehind(): Promise<readonly string[]> {
    for (const client of this.clients) this.lose(client);
    await this.advance(5_000);
    const { cluster, core } = this;
    const counts = {
      active: cluster.active,
      retrying: cluster.retrying,
      pending: cluster.pending,
      waiting: cluster.waiting,
      connections: cluster.connections,
      kept: core.budget.used,
      inUse: cluster.endpoints.reduce((sum, { active }) => sum + active, 0),
      inFlight: core.stats.inFlightOfAll,
      clients: core.openConnections,
      internalErrors: core.counts.internalErrors,
    };
    core.deadlines.stop();
    return Object.entries(counts).flatMap(([name, count]) => (count === 0 ? [] : [`${name} ${count}`]));
  }
}
