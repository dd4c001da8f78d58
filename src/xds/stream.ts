// One discovery stream of the server: turns requests into the session's terms and its responses into messages, and keeps the node's
// record. What to send, and when, is session.ts's to say.

import { create } from "@bufbuild/protobuf";
import { type ServerDuplexStream, status } from "@grpc/grpc-js";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";
import type { Node } from "./gen/envoy/config/core/v3/core_pb.ts";
import {
  type DiscoveryRequest,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from "./gen/envoy/service/discovery/v3/discovery_pb.ts";
import type { GroupTable } from "./groups.ts";
import { RESOURCE_KINDS, type ResourceKind, TYPE_URLS } from "./messages.ts";
import { epochOf, type NodeRecord, userAgentOf } from "./nodes.ts";
import { MAX_NAMES, Session } from "./session.ts";
import type { Publication } from "./snapshot.ts";

/** Most characters of a client's words on a rejection that are kept. */
const MAX_REJECTION_CHARS = 4_000;
const KINDS: ReadonlyMap<string, ResourceKind> = new Map(
  RESOURCE_KINDS.map((kind) => [TYPE_URLS[kind], kind]),
);

export interface StreamPorts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly groups: GroupTable;
  /** The node has said who it is. */
  joined(record: NodeRecord): void;
  heard(what: "ack" | "nack", record: NodeRecord): void;
  /** The stream is over; without a record when the node never said who it is. */
  left(record: NodeRecord | undefined): void;
}

export class DiscoveryStream {
  readonly #call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>;
  readonly #ports: StreamPorts;
  #record: NodeRecord | undefined;
  #timer: Timer | undefined;
  #isOver = false;
  /** The `ackedSeq` that was last let known. */
  #toldSeq = 0;

  constructor(call: ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>, ports: StreamPorts) {
    this.#call = call;
    this.#ports = ports;
    call.on("data", (request: DiscoveryRequest) => this.#take(request));
    call.on("end", () => {
      if (!this.#isOver) call.end();
      this.#leave();
    });
    // A client that goes away without a word: the record says so, there is nothing else to do.
    call.on("error", () => this.#leave());
    call.on("close", () => this.#leave());
    call.on("cancelled", () => this.#leave());
  }

  publish(publication: Publication): void {
    this.#record?.session.publish(publication);
    this.#flush();
  }

  end(code: status, details: string): void {
    if (this.#isOver) return;
    this.#leave();
    this.#call.emit("error", Object.assign(new Error(details), { code, details }));
  }

  #take(request: DiscoveryRequest): void {
    if (this.#isOver) return;
    const record = this.#record ?? this.#join(request.node);
    if (record === undefined) {
      this.end(
        status.INVALID_ARGUMENT,
        "the first request of a stream must say who asks: node.id and node.cluster",
      );
      return;
    }
    const { clock, log, heard } = this.#ports;
    record.lastSeenMs = clock.nowMs();
    const kind = KINDS.get(request.typeUrl);
    // Other types (secrets, runtime) are not served: silence is how a server says that it has nothing.
    if (kind === undefined) {
      log.debug("type not served", { type: request.typeUrl, node: record.id });
      return;
    }
    if (request.resourceNames.length > MAX_NAMES) {
      this.end(status.INVALID_ARGUMENT, `at most ${MAX_NAMES} names may be asked for`);
      return;
    }
    const rejection = request.errorDetail?.message.slice(0, MAX_REJECTION_CHARS);
    const saidBefore = record.session.rejection(kind)?.message;
    const meaning = record.session.request(
      {
        kind,
        version: request.versionInfo,
        nonce: request.responseNonce,
        names: request.resourceNames,
        ...(rejection === undefined ? {} : { rejection }),
        // INVALID_ARGUMENT and INTERNAL (Envoy) are about the content; UNAVAILABLE is how gRPC says "not now".
        isTransient: request.errorDetail?.code === status.UNAVAILABLE,
      },
      record.lastSeenMs,
    );
    const hasMore = this.#flush();
    if (meaning === "ack" && !hasMore) heard("ack", record);
    if (meaning !== "nack") return;
    const fields = { node: record.id, group: record.group, kind, why: rejection };
    // What may succeed later is offered again and again: the same words once are enough.
    if (rejection !== saidBefore) log.warn("node rejected its configuration", fields);
    heard("nack", record);
  }

  #join(node: Node | undefined): NodeRecord | undefined {
    if (node === undefined || node.id === "") return undefined;
    const { clock, log, groups } = this.#ports;
    const nowMs = clock.nowMs();
    const group = node.cluster;
    const session = new Session(groups.recall(group));
    const publication = groups.publication(group);
    if (publication !== undefined) session.publish(publication);
    const record: NodeRecord = {
      id: node.id,
      group,
      userAgent: userAgentOf(node),
      epoch: epochOf(node),
      session,
      connectedSinceMs: nowMs,
      lastSeenMs: nowMs,
      isConnected: true,
    };
    this.#record = record;
    log.info("node connected", { node: record.id, group, userAgent: record.userAgent });
    this.#ports.joined(record);
    return record;
  }

  /** Sends what is due. Says (and lets know) whether the node has more in force than it was known to have. */
  #flush(): boolean {
    const record = this.#record;
    if (record === undefined || this.#isOver) return false;
    const { clock, groups, heard } = this.#ports;
    for (const { kind, version, nonce, entries, holds } of record.session.step(clock.nowMs())) {
      groups.remember(record.group, kind, version, holds);
      const resources = entries.map((entry) => entry.any);
      this.#call.write(
        create(DiscoveryResponseSchema, { versionInfo: version, nonce, typeUrl: TYPE_URLS[kind], resources }),
      );
    }
    this.#timer?.cancel();
    const { wakeAtMs, ackedSeq } = record.session;
    if (wakeAtMs !== undefined)
      this.#timer = clock.after(Math.max(0, wakeAtMs - clock.nowMs()), () => void this.#flush());
    if (ackedSeq === this.#toldSeq) return false;
    this.#toldSeq = ackedSeq;
    heard("ack", record);
    return true;
  }

  #leave(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#timer?.cancel();
    if (this.#record !== undefined)
      this.#ports.log.info("node disconnected", { node: this.#record.id, group: this.#record.group });
    this.#ports.left(this.#record);
  }
}
