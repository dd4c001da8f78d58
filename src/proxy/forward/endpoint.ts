// [hot] One address of a cluster: its idle connections (newest first), the requests that wait for one, its health, its counts. It lives as
// long as configurations name it, through every change of its cluster.

import type { Core } from "../core.ts";
import type { UpstreamConnection } from "../http1/upstream.ts";
import type { EndpointAddress } from "./clusteroptions.ts";
import type { OutlierRecord } from "./outlier.ts";
import type { Cluster } from "./pool.ts";

/** A request that waits for a connection to one endpoint. */
export interface Waiter {
  /** A pooled connection is free. */
  onFree(connection: UpstreamConnection): void;
  /** A connection may be made now. */
  onRoom(): void;
  /** That endpoint is gone: another one is needed, if this one still waits for it. */
  onEndpointGone(endpoint: Endpoint): void;
  onInternalError(error: unknown): void;
}

const NONE: readonly string[] = [];

/** See the head of this file. */
export class Endpoint {
  readonly cluster: Cluster;
  readonly address: string;
  readonly port: number;
  /** `address:port`: its identity. */
  readonly key: string;
  /** Where it can be reached too. */
  otherAddresses: readonly string[] = NONE;
  weight = 1;
  /** Its level among those of its cluster; 0 serves first. */
  priority = 0;
  /** Share in slow start, 0 to 1. */
  warmth = 1;
  /** When it last came into use, coarse epoch milliseconds; long ago: it is warm. */
  freshAtMs = Number.NEGATIVE_INFINITY;
  /** What smooth weighted round robin owes it. */
  credit = 0;
  isRemoved = false;
  /** What its configuration says. */
  isConfiguredHealthy = true;
  /** It says that others should serve first. */
  isDegraded = false;
  /** An active health check fails, or has not answered yet. */
  isCheckFailed = false;
  /** Of active health checks. */
  checkPort: number | null = null;
  checkHost = "";
  isCheckDisabled = false;
  /** Taken out by outlier detection. */
  isEjected = false;
  /** Requests in progress. */
  active = 0;
  /** Open and opening connections. */
  connections = 0;
  connectionsTotal = 0;
  connectionsFailed = 0;
  requests = 0;
  successes = 0;
  errors = 0;
  timeouts = 0;
  /** Copies of requests are made again from then on, where no connection is free; coarse epoch milliseconds. */
  copiesFromMs = 0;
  /** How long the next pause in copying is: it doubles with each connection that fails. */
  copyPauseMs = 0;
  /** For outlier detection; null: its cluster has none. */
  record: OutlierRecord | null = null;
  /** Points on a ring, computed once. */
  points: Uint32Array = new Uint32Array(0);
  readonly #idle: UpstreamConnection[] = [];
  readonly #waiting: Waiter[] = [];

  constructor(cluster: Cluster, address: string, port: number) {
    this.cluster = cluster;
    this.address = address;
    this.port = port;
    this.key = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** Takes what a configuration says of it. */
  configure(found: EndpointAddress): void {
    const { isHealthy, isDegraded, weight, priority, otherAddresses, checkPort, checkHost, isCheckDisabled } =
      found;
    this.otherAddresses = otherAddresses ?? NONE;
    this.isConfiguredHealthy = isHealthy;
    this.isDegraded = isDegraded ?? false;
    this.weight = weight ?? 1;
    this.priority = priority ?? 0;
    this.checkPort = checkPort ?? null;
    this.checkHost = checkHost ?? "";
    this.isCheckDisabled = isCheckDisabled ?? false;
  }

  /** True when nothing speaks against a request. */
  get isUsable(): boolean {
    return this.isConfiguredHealthy && !this.isCheckFailed && !this.isEjected;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  get waitingCount(): number {
    return this.#waiting.length;
  }

  /** The connection that was used last, or null. */
  takeIdle(): UpstreamConnection | null {
    return this.#idle.pop() ?? null;
  }

  /** Serves a waiting request, or keeps the connection. */
  giveIdle(connection: UpstreamConnection): void {
    if (this.#waiting.length > 0) this.#waiting.shift()?.onFree(connection);
    else this.#idle.push(connection);
  }

  /** Forgets an idle connection that closed. */
  dropIdle(connection: UpstreamConnection): void {
    const at = this.#idle.lastIndexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
  }

  closeIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  wait(waiter: Waiter): void {
    this.#waiting.push(waiter);
  }

  stopWaiting(waiter: Waiter): void {
    const at = this.#waiting.indexOf(waiter);
    if (at !== -1) this.#waiting.splice(at, 1);
  }

  /** The request that waits longest makes a connection. */
  serveWaiting(): void {
    this.#waiting.shift()?.onRoom();
  }

  // What came of tries.

  onAnswer(status: number): void {
    if (status >= 500) this.errors += 1;
    else this.successes += 1;
    if (this.record !== null) this.record.onAnswer(status);
  }

  onConnectFailed(): void {
    this.connectionsFailed += 1;
    this.errors += 1;
    this.record?.onLocalFailure(503);
  }

  /** A connection lost, or an answer malformed. */
  onReset(): void {
    this.errors += 1;
    this.record?.onLocalFailure(503);
  }

  /** A try has no answer in its time. It need not be over. */
  onLate(): void {
    this.timeouts += 1;
    this.record?.onLocalFailure(504);
  }

  /** A try that was late is over without an answer. */
  onUnanswered(): void {
    this.errors += 1;
  }

  onOpened(): void {
    this.connections += 1;
    this.connectionsTotal += 1;
    this.cluster.connections += 1;
  }

  onClosed(): void {
    this.connections -= 1;
    this.cluster.connections -= 1;
    if (this.cluster.waiting > 0) this.cluster.serveWaiting(this);
  }

  /** Configuration names it no more: what it has ends, what waits goes elsewhere, in a turn of its own. */
  remove(core: Core): void {
    this.isRemoved = true;
    this.closeIdle();
    for (const waiter of this.#waiting.splice(0)) core.after(0, waiter, () => waiter.onEndpointGone(this));
  }
}
