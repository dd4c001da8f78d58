// Phase "accept": a listening socket and its client connections. Routes are looked up through it, so that a new table is one assignment.
import { createServer, type Server, type Socket } from "node:net";
import { setImmediate as turnOfLoop } from "node:timers/promises";
import { messageOf, WeirError } from "../../lib/errors.ts";
import { type ClientRules, DEFAULT_CLIENT_RULES } from "../admit/forwarded.ts";
import { type ClientLimits, DEFAULT_CLIENT_LIMITS } from "../admit/limits.ts";
import type { Core } from "../core.ts";
import { AccessLog } from "../observe/accesslog.ts";
import type { LogFormat } from "../observe/logformat.ts";
import { AS_SPELT, type Spelling } from "../route/normalise.ts";
import { EMPTY_HOSTS, type HostTable } from "../route/table.ts";
import { partOf } from "../seat.ts";
import { acceptWire } from "../wire/netwire.ts";
import type { Wire } from "../wire/wire.ts";
import { Downstream, type ListenerView } from "./downstream.ts";

/** Code of the error of a port that cannot be listened on. */
export const LISTEN_FAILED = "WEIR_ERR_PROXY_LISTEN";
const BACKLOG = 1024;
/** A turn of the event loop with little to do. */
const SHORT_TURN_MS = 0.05;
const NOTHING_TOLD = { port: 0, connections: 0 };

export interface ListenerOptions {
  readonly name: string;
  readonly address: string;
  /** 0: any free port. */
  readonly port: number;
  /** Default: the proxy's limits. */
  readonly headTimeoutMs?: number;
  readonly idleTimeoutMs?: number;
  readonly streamIdleMs?: number;
  /** Default: DEFAULT_CLIENT_RULES. */
  readonly clientRules?: ClientRules;
  /** Default: DEFAULT_CLIENT_LIMITS. */
  readonly clientLimits?: ClientLimits;
  /** Default: false. */
  readonly isHalfCloseAllowed?: boolean;
  /** Default: none. */
  readonly accessLog?: AccessLogOptions;
  /** Default: AS_SPELT. */
  readonly spelling?: Spelling;
}

/** Where and how requests are logged. */
export interface AccessLogOptions {
  readonly path: string;
  readonly format: LogFormat;
}

/** A listening socket. Open it with `open`, end it with `drain` or `close`. */
export class Listener implements ListenerView {
  /** In force for requests that begin now; assigned whole. */
  hosts: HostTable = EMPTY_HOSTS;
  headTimeoutMs = 0;
  idleTimeoutMs = 0;
  streamIdleMs = 0;
  clientRules: ClientRules = DEFAULT_CLIENT_RULES;
  clientLimits: ClientLimits = DEFAULT_CLIENT_LIMITS;
  isHalfCloseAllowed = false;
  accessLog: AccessLog | null = null;
  spelling: Spelling = AS_SPELT;
  #options: ListenerOptions;
  readonly #core: Core;
  readonly #connections = new Set<Downstream>();
  #server: Server | null = null;
  /** Connections that it was handed by the system. */
  #accepted = 0;
  #onEmpty: (() => void) | null = null;
  /** What others say who accept in its place. */
  told: { readonly port: number; readonly connections: number } = NOTHING_TOLD;
  /** True once each connection is to end with its next answer. */
  isDraining = false;

  constructor(core: Core, options: ListenerOptions) {
    this.#core = core;
    this.#options = options;
    this.configure(options);
  }

  get name(): string {
    return this.#options.name;
  }

  get options(): ListenerOptions {
    return this.#options;
  }

  /** Where it listens; port 0 before `open`. */
  get port(): number {
    const address = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : this.told.port;
  }

  get connectionCount(): number {
    return this.#connections.size + this.told.connections;
  }

  /** Takes what may change while it is open; address and port may not. Throws CONFIG_REJECTED when its log cannot be opened. */
  configure(options: ListenerOptions): void {
    this.#configureLog(options.accessLog);
    this.#options = options;
    this.headTimeoutMs = options.headTimeoutMs ?? this.#core.limits.headTimeoutMs;
    this.idleTimeoutMs = options.idleTimeoutMs ?? this.#core.limits.idleTimeoutMs;
    this.clientRules = options.clientRules ?? DEFAULT_CLIENT_RULES;
    this.isHalfCloseAllowed = options.isHalfCloseAllowed ?? false;
    this.spelling = options.spelling ?? AS_SPELT;
    const { connections, ...others } = options.clientLimits ?? DEFAULT_CLIENT_LIMITS;
    this.clientLimits = { ...others, connections: partOf(connections, this.#core.seat.share) };
    this.streamIdleMs = options.streamIdleMs ?? this.#core.limits.streamIdleMs;
  }

  /** Begins to accept. Rejects with LISTEN_FAILED. */
  open(): Promise<void> {
    if (!this.#core.seat.isServing) return Promise.resolve();
    const { name, address, port } = this.#options;
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    return new Promise((resolve, reject) => {
      server.once("error", (error) => {
        const message = `listener ${name} cannot listen on ${address}:${port}: ${messageOf(error)}; choose another port or end what uses it`;
        // Whoever has the port may give it back.
        reject(new WeirError({ code: LISTEN_FAILED, source: "user", retry: "yes", message, cause: error }));
      });
      server.listen({ host: address, port, backlog: BACKLOG }, () => {
        server.removeAllListeners("error");
        this.#listenOn(server);
        resolve();
      });
    });
  }

  /** Goes on with the socket of another listener on the same address and port, which accepts nothing more. Instead of `open`. */
  takeOver(other: Listener): void {
    const server = other.#server;
    other.#server = null;
    if (server === null) return;
    server.removeAllListeners("connection");
    server.removeAllListeners("error");
    this.#listenOn(server);
  }

  /** Serves a connection that exists already; for byte sources other than plain sockets. */
  accept(makeWire: (owner: Downstream) => Wire): void {
    const connection = new Downstream(this.#core, this);
    this.#connections.add(connection);
    this.#core.openConnections += 1;
    connection.attach(makeWire(connection));
    this.#core.counts.connections += 1;
  }

  /** Stops accepting; resolves when the last connection is gone. Connections end with their next answer. */
  async drain(): Promise<void> {
    this.isDraining = true;
    await this.#acceptLast();
    this.#server?.close();
    if (this.#connections.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
  }

  /** Ends all connections: idle ones clean, others by reset. */
  close(): void {
    this.#server?.close();
    for (const connection of this.#connections) connection.close();
  }

  onGone(connection: Downstream): void {
    if (!this.#connections.delete(connection)) return;
    this.#core.openConnections -= 1;
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  /**
   * Closing resets the connections that the system has made and nobody has accepted. A turn of the event loop accepts one; those that come in
   * the rest of a turn that finds none would be lost, so it is to be a short one: the longer it takes to find one, the less short.
   */
  async #acceptLast(): Promise<void> {
    const { monotonicMs } = this.#core;
    await turnOfLoop();
    let shortMs = 0;
    for (let turn = 0; turn < BACKLOG; turn++) {
      const [before, beganMs] = [this.#accepted, monotonicMs()];
      await turnOfLoop();
      if (this.#accepted !== before) continue;
      shortMs += SHORT_TURN_MS;
      if (monotonicMs() - beganMs < shortMs) return;
    }
  }

  #listenOn(server: Server): void {
    this.#server = server;
    server.on("connection", (socket) => this.#onConnection(socket));
    server.on("error", (error) =>
      this.#core.log.warn("accepting failed", { listener: this.name, error: messageOf(error) }),
    );
  }

  #configureLog(wanted: AccessLogOptions | undefined): void {
    const { logs, seat } = this.#core;
    if (wanted === undefined || !seat.isServing) this.accessLog = null;
    else if (this.accessLog?.format !== wanted.format || this.accessLog.file.path !== wanted.path)
      this.accessLog = new AccessLog(logs.open(wanted.path), wanted.format, (ms) => this.#core.epochOf(ms));
  }

  #onConnection(socket: Socket): void {
    this.#accepted += 1;
    const core = this.#core;
    const isFull = this.#connections.size >= this.clientLimits.connections;
    if (isFull || core.openConnections >= core.limits.maxConnections || core.overload.refusesConnections) {
      core.counts.connectionsRefused += 1;
      socket.destroy();
      return;
    }
    this.accept((owner) => acceptWire(this.#core, socket, owner));
  }
}
