// The door to the xDS client of weir's proxy, and to the bootstrap reader. The client follows a control plane over ADS: it tries all
// addresses, hands on whole configurations one change at a time and acknowledges each only after it is in force, keeps what is in force
// when the control plane goes, comes back with back-off, and reports load.
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { create } from "@bufbuild/protobuf";
import {
  type ChannelCredentials,
  Client,
  type ClientDuplexStream,
  credentials as grpcCredentials,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { backoffMs } from "../lib/backoff.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import { isWeirError, messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { type Answer, Assembly, type Refusal, type XdsUpdate } from "./assembly.ts";
import type { Node } from "./gen/envoy/config/core/v3/core_pb.ts";
import {
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
} from "./gen/envoy/service/discovery/v3/discovery_pb.ts";
import { type LoadSample, startLoadReports } from "./loadreporter.ts";
import { type ResourceKind, TYPE_URLS, type XdsSnapshot } from "./messages.ts";
import { Refusals } from "./refusals.ts";
import { DISCOVERY } from "./services.ts";

export type { XdsUpdate } from "./assembly.ts";
export type { ControlPlane } from "./bootstrap.ts";
export { controlPlaneOf, readBootstrap } from "./bootstrap.ts";
export { BOOTSTRAP_INVALID } from "./bootstrapproblems.ts";
export type { LoadSample } from "./loadreporter.ts";
export { EPOCH_KEY } from "./nodes.ts";

/** Between rounds over all addresses. */
const RETRY = { baseMs: 200, maxMs: 5_000 };
/** A connection that is not made within this time is given up. */
const CONNECT_TIMEOUT_MS = 3_000;
/** A silent server is pinged after the first, and given up after the second on top: a dead one is noticed within 8 s. */
const KEEPALIVE = { timeMs: 4_000, timeoutMs: 4_000 };
/** Longest rejection that is sent. */
const MAX_WORDS = 4_000;
/** How long servers have to send a whole configuration before the fallback is taken. */
const FALLBACK_MS = 2_000;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

/** Whether a configuration is in force in all workers, or why not: then what was in force before still is. */
export type Verdict =
  | { readonly kind: "ok" }
  /** `isTransient`: the same may succeed later, as with a port that another process has; the server may offer it again. */
  | { readonly kind: "rejected"; readonly message: string; readonly isTransient?: boolean };

export interface XdsClientOptions {
  /** `host:port`, at least one; a name that stands for several addresses counts as all of them. */
  readonly addresses: readonly string[];
  /** Who asks; its `cluster` is the group, and its metadata holds the process epoch under EPOCH_KEY. */
  readonly node: Node;
  readonly clock: Clock;
  readonly log: Logger;
  /** Default: plain text. */
  readonly credentials?: ChannelCredentials;
  readonly random?: () => number;
  /**
   * Brings a configuration in force; called with one change at a time, never while the call before is undecided. A listener whose route
   * configuration is not in `routes` yet must not open; a cluster without an assignment has no endpoints yet.
   */
  onUpdate(update: XdsUpdate): Verdict | Promise<Verdict>;
  /**
   * Offered to `onUpdate` when no server has been reached after a first try of all addresses, or none has sent a whole configuration within
   * FALLBACK_MS. It is never acknowledged; each kind of it goes when a server sends that kind.
   */
  readonly fallback?: XdsSnapshot;
  /** What was counted so far; reported at the interval that the server asks for. Absent: nothing is reported. */
  reportLoads?(): readonly LoadSample[];
}

/** What /config_dump tells of the control plane. */
export interface XdsClientStatus {
  /** Address of the server whose stream is open; undefined: none. */
  readonly connectedTo: string | undefined;
  /** Versions in force. */
  readonly versions: Readonly<Record<ResourceKind, string>>;
  /** Rejections that stand, in our own words. */
  readonly rejections: Readonly<Partial<Record<ResourceKind, string>>>;
}

export interface XdsClient {
  /** Begins; returns at once. */
  start(): void;
  /** Ends the stream. Idempotent. What is in force stays so. */
  close(): void;
  status(): XdsClientStatus;
}

/** Builds a client; `start` opens it. */
export function createXdsClient(options: XdsClientOptions): XdsClient {
  return new AdsClient(options);
}

class AdsClient implements XdsClient {
  readonly #options: XdsClientOptions;
  readonly #assembly = new Assembly();
  readonly #refusals: Refusals;
  readonly #random: () => number;
  /** Addresses that this round has not tried yet. */
  #untried: string[] = [];
  #round = 0;
  #client: Client | undefined;
  #call: ClientDuplexStream<DiscoveryRequest, DiscoveryResponse> | undefined;
  #connectedTo: string | undefined;
  #stopReports: (() => void) | undefined;
  #retryTimer: Timer | undefined;
  #warmTimer: Timer | undefined;
  #fallback: XdsSnapshot | undefined;
  #fallbackTimer: Timer | undefined;
  #isFallbackDue = false;
  #isApplying = false;
  #isClosed = false;

  constructor(options: XdsClientOptions) {
    this.#options = options;
    this.#fallback = options.fallback;
    this.#refusals = new Refusals(options.clock, (refusal) => this.#say(refusal));
    this.#random = options.random ?? Math.random;
  }

  start(): void {
    if (this.#fallback !== undefined)
      this.#fallbackTimer = this.#options.clock.after(FALLBACK_MS, () => this.#fallBack());
    void this.#tryNext();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#retryTimer?.cancel();
    this.#fallbackTimer?.cancel();
    this.#drop();
  }

  status(): XdsClientStatus {
    const { versions, rejections } = this.#assembly;
    return { connectedTo: this.#connectedTo, versions, rejections: Object.fromEntries(rejections) };
  }

  /** Takes the next address of the round; after the last, waits and begins a new round. */
  async #tryNext(): Promise<void> {
    if (this.#untried.length === 0) this.#untried = await expand(this.#options.addresses, this.#options.log);
    if (this.#isClosed) return;
    const address = this.#untried.shift();
    if (address === undefined) this.#retryLater();
    else this.#connect(address);
  }

  #retryLater(): void {
    if (this.#isClosed) return;
    const delayMs = this.#untried.length > 0 ? 0 : backoffMs(this.#round, { ...RETRY, random: this.#random });
    if (this.#untried.length === 0) {
      this.#round += 1;
      this.#fallBack();
    }
    this.#retryTimer = this.#options.clock.after(delayMs, () => void this.#tryNext());
  }

  #connect(address: string): void {
    const { clock, log } = this.#options;
    const client = new Client(address, this.#options.credentials ?? grpcCredentials.createInsecure(), {
      "grpc.keepalive_time_ms": KEEPALIVE.timeMs,
      "grpc.keepalive_timeout_ms": KEEPALIVE.timeoutMs,
      "grpc.keepalive_permit_without_calls": 1,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc.enable_retries": 0,
      "grpc.enable_http_proxy": 0,
      "grpc.service_config_disable_resolution": 1,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_channelz": 0,
    });
    this.#client = client;
    const { path, requestSerialize, responseDeserialize } = DISCOVERY.StreamAggregatedResources;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    this.#call = call;
    let isOver = false;
    const over = (why: string): void => {
      if (isOver) return;
      isOver = true;
      timer.cancel();
      if (this.#call !== call) return;
      const wasConnected = this.#connectedTo !== undefined;
      this.#drop();
      if (this.#isClosed) return;
      if (wasConnected) log.warn("control plane lost, keeping what is in force", { address, why });
      else log.debug("control plane not reached", { address, why });
      this.#retryLater();
    };
    // The library itself would wait much longer for a peer that does not answer.
    const timer = clock.after(CONNECT_TIMEOUT_MS, () => {
      if (this.#connectedTo === undefined && !isReady(client)) over("no connection");
    });
    // weir's server answers at once with its head; it has nothing to send to a node that has everything already.
    call.on("metadata", () => {
      if (this.#call === call) this.#connected(address);
    });
    call.on("data", (response: DiscoveryResponse) => {
      // What a stream still had when it was given up: its nonces mean nothing to the next one.
      if (this.#call !== call) return;
      this.#connected(address);
      this.#answer(this.#assembly.receive(response, clock.nowMs()));
      this.#apply();
    });
    call.on("error", (error: ServiceError) => over(`${status[error.code] ?? error.code}: ${error.details}`));
    call.on("end", () => over("the server ended the stream"));
    this.#answer(this.#assembly.open(), this.#options.node);
  }

  /** The head of the stream, or the first response, shows that this server serves. */
  #connected(address: string): void {
    if (this.#connectedTo !== undefined || this.#client === undefined) return;
    this.#connectedTo = address;
    this.#round = 0;
    this.#untried = [];
    this.#options.log.info("control plane connected", { address });
    if (this.#options.reportLoads === undefined) return;
    const { clock, log, node } = this.#options;
    const source = (): readonly LoadSample[] => this.#options.reportLoads?.() ?? [];
    this.#stopReports = startLoadReports(this.#client, { clock, log, node, random: this.#random, source });
  }

  #drop(): void {
    const [call, client] = [this.#call, this.#client];
    this.#stopReports?.();
    this.#stopReports = undefined;
    this.#warmTimer?.cancel();
    this.#refusals.clear();
    this.#call = undefined;
    this.#client = undefined;
    this.#connectedTo = undefined;
    call?.cancel();
    client?.close();
  }

  #answer(answers: readonly (Answer | Refusal)[], node?: Node): void {
    // Who asks is said once per stream: the server remembers.
    answers.forEach((answer, index) => {
      if (!("content" in answer)) this.#ask(answer, index === 0 ? node : undefined);
      else if (this.#refusals.refuse(answer)) {
        const { kind, rejection } = answer;
        this.#options.log.warn("configuration rejected", { kind, why: rejection });
      }
    });
  }

  /** An acceptance, or a change of names; a refusal that waits goes along with that. */
  #ask(answer: Answer, node: Node | undefined): void {
    const { kind, names } = answer;
    if (!this.#assembly.rejections.has(kind)) this.#refusals.forget(kind);
    const overtaken = this.#refusals.overtake(kind);
    this.#say(overtaken === undefined ? answer : { ...overtaken, names }, node);
  }

  #say(answer: Answer, node?: Node): void {
    const request = requestOf(answer);
    if (node !== undefined) request.node = node;
    this.#call?.write(request);
  }

  /** Tries what can be tried, one change after the other. */
  #apply(): void {
    if (this.#isApplying) return;
    this.#isApplying = true;
    void this.#applyAll().finally(() => {
      this.#isApplying = false;
    });
  }

  async #applyAll(): Promise<void> {
    const { clock } = this.#options;
    if (this.#isFallbackDue) await this.#adopt();
    for (;;) {
      const update = this.#assembly.candidate(clock.nowMs());
      if (update === undefined) break;
      const call = this.#call;
      const verdict = await this.#judge(update);
      // A stream that ended meanwhile took its pending responses along; the next one says anew what is in force.
      if (this.#isClosed) return;
      if (call !== this.#call) continue;
      this.#answer(
        verdict.kind === "ok"
          ? this.#assembly.accept()
          : this.#assembly.reject(verdict.message, verdict.isTransient),
      );
    }
    this.#warmTimer?.cancel();
    const { wakeAtMs } = this.#assembly;
    if (wakeAtMs !== undefined)
      this.#warmTimer = clock.after(Math.max(0, wakeAtMs - clock.nowMs()), () => this.#apply());
  }

  /** All servers have been tried, or had their time: from now on the fallback is better than nothing. */
  #fallBack(): void {
    if (this.#fallback === undefined) return;
    this.#isFallbackDue = true;
    this.#apply();
  }

  async #adopt(): Promise<void> {
    const fallback = this.#fallback;
    const update = fallback && this.#assembly.beside(fallback);
    this.#isFallbackDue = false;
    this.#fallback = undefined;
    this.#fallbackTimer?.cancel();
    if (fallback === undefined || update === undefined) return;
    const { log } = this.#options;
    const verdict = await this.#judge(update);
    if (verdict.kind === "ok") {
      log.info("no control plane: the last good configuration is in force");
      this.#answer(this.#assembly.adopt(fallback));
    } else log.warn("the last good configuration cannot be carried out", { why: verdict.message });
  }

  async #judge(update: XdsUpdate): Promise<Verdict> {
    try {
      return await this.#options.onUpdate(update);
    } catch (error) {
      const isTransient = isWeirError(error) && error.retry === "yes";
      return { kind: "rejected", message: messageOf(error), isTransient };
    }
  }
}

function requestOf({ kind, version, nonce, names, rejection, isTransient }: Answer): DiscoveryRequest {
  const request = create(DiscoveryRequestSchema, {
    typeUrl: TYPE_URLS[kind],
    versionInfo: version,
    responseNonce: nonce,
    resourceNames: [...names],
  });
  if (rejection !== undefined)
    request.errorDetail = {
      $typeName: "google.rpc.Status",
      code: isTransient === true ? status.UNAVAILABLE : status.INVALID_ARGUMENT,
      message: rejection.slice(0, MAX_WORDS),
      details: [],
    };
  return request;
}

function isReady(client: Client): boolean {
  // 2 is READY in the library's ConnectivityState, a const enum that type stripping cannot import.
  return client.getChannel().getConnectivityState(false) === 2;
}

/** All addresses behind the names, as the resolver gives them. */
async function expand(addresses: readonly string[], log: Logger): Promise<string[]> {
  const expanded: string[] = [];
  for (const address of addresses) {
    const split = address.lastIndexOf(":");
    const host = address.slice(0, split).replace(/^\[|\]$/g, "");
    const port = address.slice(split + 1);
    if (isIP(host) !== 0) {
      expanded.push(address);
      continue;
    }
    try {
      for (const found of await lookup(host, { all: true }))
        expanded.push(found.family === 6 ? `[${found.address}]:${port}` : `${found.address}:${port}`);
    } catch (error) {
      log.warn("control plane's name does not resolve", { address, why: messageOf(error) });
    }
  }
  return expanded;
}
