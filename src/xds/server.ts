// The door to the xDS server: ADS (state of the world) and LRS on one gRPC port. It takes one consistent snapshot per group of nodes and
// brings it to every connected node, make before break, each node at its own pace; it tells who has what in force, and takes load
// reports. What to send is decided in session.ts; this file moves it over streams.
import {
  logVerbosity,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  setLogVerbosity,
  status,
} from "@grpc/grpc-js";
import type { Clock } from "../lib/clock.ts";
import { messageOf, WeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { DiscoveryRequest, DiscoveryResponse } from "./gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { LoadStatsRequest, LoadStatsResponse } from "./gen/envoy/service/load_stats/v3/lrs_pb.ts";
import { GroupTable } from "./groups.ts";
import type { LoadReport } from "./loads.ts";
import { serveLoadReports } from "./loadstream.ts";
import type { ResourceKind, XdsSnapshot } from "./messages.ts";
import { type NodeRecord, NodeTable, type NodeView } from "./nodes.ts";
import { DISCOVERY, LOAD_REPORTING } from "./services.ts";
import { DiscoveryStream } from "./stream.ts";

export type { ClusterLoad, LoadDelta, LoadReport } from "./loads.ts";
export type { NodeView } from "./nodes.ts";
export { EPOCH_KEY } from "./nodes.ts";
export { SNAPSHOT_INCONSISTENT } from "./snapshot.ts";

/** Code of a server that cannot take its port. */
export const LISTEN_FAILED = "WEIR_ERR_XDS_LISTEN";
/** Default port of ADS and LRS. */
export const DEFAULT_XDS_PORT = 18_000;
/** Open streams of one server, discovery and load reports together; further ones are refused. */
export const MAX_STREAMS = 20_000;
/** Longest interval that proxies are asked to report load at; also the default. */
export const MAX_LOAD_REPORT_INTERVAL_MS = 1_000;
/** Streams of one connection. */
const MAX_STREAMS_PER_CONNECTION = 100;
/** Largest message that is read. */
const MAX_MESSAGE_BYTES = 32 * 1024 * 1024;
/** How long a closing server waits for its streams to end before it cuts them off. */
const CLOSE_GRACE_MS = 1_000;

export interface XdsServerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: plain text, as on a loopback or mesh port. */
  readonly credentials?: ServerCredentials;
  /** A connection that is silent for so long is pinged. Default 5 000 ms. */
  readonly keepaliveTimeMs?: number;
  /** A ping that stays unanswered for so long ends the connection. Default 4 000 ms. */
  readonly keepaliveTimeoutMs?: number;
  /** How often nodes are to report load: default and most 1 000 ms. */
  readonly loadReportIntervalMs?: number;
  /** Default MAX_STREAMS. */
  readonly maxStreams?: number;
  /** Whether clients are served from the start. Default true; a standby sets false and later calls `setServing`. */
  readonly isServing?: boolean;
}

/** What happened to a node. `ack` also stands for "more is in force than before". */
export interface NodeChange {
  readonly kind: "connect" | "ack" | "nack" | "disconnect";
  readonly group: string;
  readonly node: string;
}

export interface XdsServer {
  /** Takes the port (default 18000 on 127.0.0.1; 0: any free one). Throws LISTEN_FAILED. */
  listen(options?: {
    readonly host?: string;
    readonly port?: number;
  }): Promise<{ readonly host: string; readonly port: number }>;
  /** Ends all streams with UNAVAILABLE and frees the port. Idempotent. */
  close(): Promise<void>;
  /** Not serving: streams end, and new ones are refused, with UNAVAILABLE "not the leader". What was published stays. */
  setServing(isServing: boolean): void;
  /**
   * Publishes what the nodes of `group` (their `node.cluster`) should have, and returns the publication's number: 1, 2, … per group;
   * content that equals the present one keeps its number. A node whose `ackedSeq` is at least that number has it, or something newer,
   * in force. Throws SNAPSHOT_INCONSISTENT and publishes nothing.
   */
  setSnapshot(group: string, snapshot: XdsSnapshot): number;
  /** Forgets a group: its nodes keep what they have, later ones get nothing. */
  removeGroup(group: string): void;
  /** The present publication of a group: its number, and the content hash per kind. */
  publication(
    group: string,
  ): { readonly seq: number; readonly versions: Readonly<Record<ResourceKind, string>> } | undefined;
  /** The nodes of a group, connected or gone. */
  nodes(group: string): readonly NodeView[];
  /** Groups that have or had nodes. */
  groups(): readonly string[];
  /** Calls `listener` after each change, synchronously; returns how to stop that. */
  onChange(listener: (change: NodeChange) => void): () => void;
  /** Calls `listener` with each load report; returns how to stop that. */
  onLoadReport(listener: (report: LoadReport) => void): () => void;
}

type Discovery = ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>;
type LoadReports = ServerDuplexStream<LoadStatsRequest, LoadStatsResponse>;
/** A stream that can be ended from here. */
interface Endable {
  end(code: status, details: string): void;
}

/** Builds a server; `listen` opens it. */
export function createXdsServer(options: XdsServerOptions): XdsServer {
  // The library would write to standard error by itself what is thrown or logged here in words of our own.
  setLogVerbosity(logVerbosity.NONE);
  return new GrpcServer(options);
}

class GrpcServer implements XdsServer {
  readonly #options: XdsServerOptions;
  readonly #groups = new GroupTable();
  readonly #nodes = new NodeTable();
  /** The discovery streams of each group. */
  readonly #discovery = new Map<string, Set<DiscoveryStream>>();
  readonly #open = new Set<Endable>();
  readonly #changeListeners = new Set<(change: NodeChange) => void>();
  readonly #reportListeners = new Set<(report: LoadReport) => void>();
  readonly #server: Server;
  #isServing: boolean;
  #closing: Promise<void> | undefined;

  constructor(options: XdsServerOptions) {
    this.#options = options;
    this.#isServing = options.isServing ?? true;
    this.#server = new Server({
      "grpc.keepalive_time_ms": options.keepaliveTimeMs ?? 5_000,
      "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMs ?? 4_000,
      "grpc.max_concurrent_streams": MAX_STREAMS_PER_CONNECTION,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.max_send_message_length": -1,
    });
    this.#server.addService(DISCOVERY, {
      StreamAggregatedResources: (call: Discovery) => this.#serveDiscovery(call),
    });
    this.#server.addService(LOAD_REPORTING, {
      StreamLoadStats: (call: LoadReports) => this.#serveLoads(call),
    });
  }

  listen({ host = "127.0.0.1", port = DEFAULT_XDS_PORT }: Parameters<XdsServer["listen"]>[0] = {}): Promise<{
    readonly host: string;
    readonly port: number;
  }> {
    const credentials = this.#options.credentials ?? ServerCredentials.createInsecure();
    return bind(this.#server, host, port, credentials);
  }

  close(): Promise<void> {
    this.#closing ??= new Promise<void>((resolve) => {
      this.#endAll(status.UNAVAILABLE, "the server shuts down");
      const timer = this.#options.clock.after(CLOSE_GRACE_MS, () => this.#server.forceShutdown());
      this.#server.tryShutdown(() => {
        timer.cancel();
        resolve();
      });
    });
    return this.#closing;
  }

  setServing(isServing: boolean): void {
    this.#isServing = isServing;
    if (!isServing) this.#endAll(status.UNAVAILABLE, "not the leader");
  }

  setSnapshot(group: string, snapshot: XdsSnapshot): number {
    const { publication, isNew } = this.#groups.publish(group, snapshot);
    if (isNew) for (const stream of this.#discovery.get(group) ?? []) stream.publish(publication);
    return publication.seq;
  }

  removeGroup(group: string): void {
    this.#groups.remove(group);
  }

  publication(group: string): ReturnType<XdsServer["publication"]> {
    return this.#groups.publication(group);
  }

  nodes(group: string): readonly NodeView[] {
    return this.#nodes.views(group);
  }

  groups(): readonly string[] {
    return this.#nodes.groups();
  }

  onChange(listener: (change: NodeChange) => void): () => void {
    this.#changeListeners.add(listener);
    return () => void this.#changeListeners.delete(listener);
  }

  onLoadReport(listener: (report: LoadReport) => void): () => void {
    this.#reportListeners.add(listener);
    return () => void this.#reportListeners.delete(listener);
  }

  #serveDiscovery(call: Discovery): void {
    if (this.#isRefused(call)) return;
    const { clock, log } = this.#options;
    const stream = new DiscoveryStream(call, {
      clock,
      log,
      groups: this.#groups,
      joined: (record) => this.#joined(record, stream),
      heard: (kind, record) => this.#tell(kind, record),
      left: (record) => this.#left(record, stream),
    });
    this.#open.add(stream);
    // The node learns that it is served even if it lacks nothing.
    call.sendMetadata(new Metadata());
  }

  #joined(record: NodeRecord, stream: DiscoveryStream): void {
    if (this.#nodes.add(record)?.isConnected)
      this.#options.log.warn("two streams of one node", { node: record.id, group: record.group });
    const streams = this.#discovery.get(record.group) ?? new Set();
    this.#discovery.set(record.group, streams.add(stream));
    this.#tell("connect", record);
  }

  #left(record: NodeRecord | undefined, stream: DiscoveryStream): void {
    this.#open.delete(stream);
    if (record === undefined) return;
    const streams = this.#discovery.get(record.group);
    streams?.delete(stream);
    if (streams?.size === 0) this.#discovery.delete(record.group);
    if (this.#nodes.leave(record, this.#options.clock.nowMs())) this.#tell("disconnect", record);
  }

  #serveLoads(call: LoadReports): void {
    if (this.#isRefused(call)) return;
    const { clock, loadReportIntervalMs = MAX_LOAD_REPORT_INTERVAL_MS } = this.#options;
    const stream: Endable = { end: (code, details) => endCall(call, code, details) };
    this.#open.add(stream);
    serveLoadReports(call, {
      clock,
      intervalMs: Math.min(loadReportIntervalMs, MAX_LOAD_REPORT_INTERVAL_MS),
      take: (report) => {
        this.#nodes.touch(report.group, report.nodeId, report.atMs);
        for (const listener of this.#reportListeners) listener(report);
      },
      left: () => this.#open.delete(stream),
    });
  }

  /** Ends a call that cannot be served now. */
  #isRefused(call: Discovery | LoadReports): boolean {
    const maxStreams = this.#options.maxStreams ?? MAX_STREAMS;
    if (!this.#isServing) endCall(call, status.UNAVAILABLE, "not the leader");
    else if (this.#open.size >= maxStreams)
      endCall(call, status.RESOURCE_EXHAUSTED, `this server serves ${maxStreams} streams at most`);
    else return false;
    return true;
  }

  #tell(kind: NodeChange["kind"], { group, id }: NodeRecord): void {
    for (const listener of this.#changeListeners) listener({ kind, group, node: id });
  }

  #endAll(code: status, details: string): void {
    for (const stream of this.#open) stream.end(code, details);
  }
}

function endCall(call: Discovery | LoadReports, code: status, details: string): void {
  call.emit("error", Object.assign(new Error(details), { code, details }));
}

async function bind(
  server: Server,
  host: string,
  port: number,
  credentials: ServerCredentials,
): Promise<{ host: string; port: number }> {
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  try {
    const bound = await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, credentials, (error, taken) =>
        error === null ? resolve(taken) : reject(error),
      );
    });
    return { host, port: bound };
  } catch (error) {
    throw new WeirError({
      code: LISTEN_FAILED,
      message: `the xDS server cannot listen on ${address}: ${messageOf(error)}. Choose another port, or stop what uses it.`,
      cause: error,
      source: "user",
      context: { host, port },
    });
  }
}
