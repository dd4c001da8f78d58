// A proxy without sockets: connections are objects in memory, bytes arrive in the pieces that a test wants, and every buffer is overwritten as
// soon as its turn is over, so that whoever kept it is found out.
import { createLogger } from "../../src/lib/log.ts";
import { DEFAULT_CLIENT_RULES } from "../../src/proxy/admit/forwarded.ts";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { Core } from "../../src/proxy/core.ts";
import { DEFAULT_CLUSTER_OPTIONS } from "../../src/proxy/forward/clusteroptions.ts";
import { Cluster } from "../../src/proxy/forward/pool.ts";
import { Listener } from "../../src/proxy/http1/listener.ts";
import type { Wire, WireOwner } from "../../src/proxy/wire/wire.ts";
import { fromJson, RouteConfigurationSchema } from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { readRequests } from "./reference.ts";

/** What happened on one connection. */
export interface Side {
  readonly text: string;
  /** How the proxy ended it. */
  readonly end: "open" | "fin" | "closed" | "reset";
}

export interface Outcome {
  readonly client: Side;
  readonly upstreams: readonly Side[];
}

/** Pieces in which an upstream answers the request that is number `index` on its connection. */
export type Answering = (index: number, start: string) => readonly string[];

const NOTHING = Buffer.alloc(0);

class MemoryWire implements Wire {
  owner: WireOwner;
  readonly peerAddress = "192.0.2.1";
  readonly isPending = false;
  readonly isSecure = false;
  isPaused = false;
  isGone = false;
  isAnnounced = false;
  hasWritten = false;
  end_: Side["end"] = "open";
  readonly arriving: Buffer[] = [];
  #written = NOTHING;

  constructor(owner: WireOwner) {
    this.owner = owner;
  }

  get isOpen(): boolean {
    return !this.isGone;
  }

  get text(): string {
    return this.#written.toString("latin1");
  }

  write(view: Uint8Array): boolean {
    this.hasWritten = true;
    if (this.end_ === "open") this.#written = Buffer.concat([this.#written, view]);
    return true;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {
    if (this.end_ === "open") this.end_ = "fin";
  }

  destroy(): void {
    if (this.end_ !== "reset") this.end_ = this.end_ === "fin" ? "fin" : "closed";
    this.isGone = true;
  }

  reset(): void {
    this.end_ = "reset";
    this.isGone = true;
  }
}

/** See the head of this file. */
export class MemoryProxy {
  readonly core: Core;
  readonly logged: string[] = [];
  readonly #listener: Listener;
  readonly #cluster: Cluster;
  #wires: MemoryWire[] = [];

  /** `isUnreachable`: no connection to the upstream comes about. */
  constructor({ isUnreachable = false }: { readonly isUnreachable?: boolean } = {}) {
    this.core = new Core({
      clock: createManualClock(),
      log: createLogger({ level: "error", write: (line) => this.logged.push(line) }),
      seed: 3,
      connect: (_context, _host, _others, _port, owner) => {
        const wire = this.#made(owner);
        wire.isGone = isUnreachable;
        wire.isAnnounced = isUnreachable;
        return wire;
      },
    });
    this.#cluster = new Cluster(this.core, "a", DEFAULT_CLUSTER_OPTIONS);
    this.#cluster.update([{ address: "192.0.2.2", port: 80, isHealthy: true, weight: 1 }]);
    this.core.clusters.set("a", this.#cluster);
    const clientRules = { ...DEFAULT_CLIENT_RULES, isIdMade: false };
    this.#listener = new Listener(this.core, { name: "main", address: "192.0.2.3", port: 0, clientRules });
    const routes = {
      virtual_hosts: [
        {
          name: "v",
          domains: ["*"],
          routes: [
            { match: { prefix: "/" }, route: { cluster: "a" } },
            { match: { prefix: "*" }, route: { cluster: "a" } },
          ],
        },
      ],
    };
    this.#listener.hosts = compileRoutes(fromJson(RouteConfigurationSchema, routes), "1", (route, cluster) =>
      this.core.stats.cell(route, cluster),
    );
  }

  /** One client connection: all pieces arrive, upstreams answer every whole request, and at the end nobody is left. */
  run(pieces: readonly Uint8Array[], answering: Answering): Outcome {
    this.#wires = [];
    let client: MemoryWire | undefined;
    this.#listener.accept((owner) => {
      client = this.#made(owner);
      client.isAnnounced = true;
      return client;
    });
    if (client === undefined) throw new Error("no connection");
    const answered = new Map<MemoryWire, number>();
    for (const piece of pieces) {
      client.arriving.push(Buffer.from(piece));
      this.#settle(client, answered, answering);
    }
    const outcome = (wire: MemoryWire): Side => ({ text: wire.text, end: wire.end_ });
    const found = {
      client: outcome(client),
      upstreams: this.#wires.filter((wire) => wire !== client).map(outcome),
    };
    for (const wire of this.#wires) {
      wire.isGone = true;
      this.#close(wire);
    }
    if (this.core.counts.internalErrors > 0) throw new Error(this.logged.join("\n"));
    if (this.core.stats.inFlightOfAll !== 0 || this.#cluster.active !== 0 || this.core.openConnections !== 0)
      throw new Error("something is left behind");
    return found;
  }

  #made(owner: WireOwner): MemoryWire {
    const wire = new MemoryWire(owner);
    this.#wires.push(wire);
    return wire;
  }

  /** Lets everything happen that can. */
  #settle(client: MemoryWire, answered: Map<MemoryWire, number>, answering: Answering): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false;
      for (const wire of this.#wires) {
        if (!wire.isAnnounced) {
          wire.isAnnounced = true;
          this.#turn(wire, () => wire.owner.onConnect());
          isBusy = true;
        }
        if (wire !== client && !wire.isGone) isBusy = answerNew(wire, answered, answering) || isBusy;
        const bytes = wire.isPaused || wire.isGone ? undefined : wire.arriving.shift();
        if (bytes !== undefined) {
          this.#turn(wire, () => wire.owner.deliver(bytes, 0, bytes.length));
          bytes.fill("#");
          isBusy = true;
        }
        if (wire.isGone) isBusy = this.#close(wire) || isBusy;
      }
    }
  }

  #close(wire: MemoryWire): boolean {
    const { owner } = wire;
    if (owner === GONE) return false;
    wire.owner = GONE;
    this.#turn({ owner }, () => owner.onClose(""));
    return true;
  }

  #turn({ owner }: { readonly owner: WireOwner }, step: () => void): void {
    try {
      step();
      this.core.outbox.flush();
    } catch (error) {
      owner.onInternalError(error);
      this.core.outbox.flush();
    }
    this.core.outbox.forgetKept();
  }
}

const GONE: WireOwner = {
  expectedBytes: 0,
  deliver: () => undefined,
  onConnect: () => undefined,
  onEnd: () => undefined,
  onPending: () => undefined,
  onDrain: () => undefined,
  onClose: () => undefined,
  onInternalError: () => undefined,
};

function answerNew(wire: MemoryWire, answered: Map<MemoryWire, number>, answering: Answering): boolean {
  const before = answered.get(wire) ?? 0;
  const { messages } = readRequests(wire.text);
  if (messages.length <= before) return false;
  answered.set(wire, before + 1);
  for (const piece of answering(before, messages[before]?.start ?? ""))
    wire.arriving.push(Buffer.from(piece, "latin1"));
  return true;
}
