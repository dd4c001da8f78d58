// [hot] Phase "forward": one request and its answer, between the side that faces the client (ClientSide) and one upstream connection. It owns
// the decisions in between: route, version, endpoint, retry, what a failure means. It knows no framing: heads, body pieces, trailers,
// reset, so that another protocol can stand on either side. One instance serves all requests of a client stream, one after another.
//
//   idle -> connecting -> open -> idle        a failed attempt goes back to connecting, once
import { BODY } from "./body.ts";
import { ByteStore } from "./bytestore.ts";
import { composeRequest } from "./compose.ts";
import type { Core } from "./core.ts";
import type { ClientFacts } from "./forwarded.ts";
import { type Head, METHOD } from "./head.ts";
import { Matcher } from "./match.ts";
import { type Mirror, startMirrors } from "./mirror.ts";
import type { Cluster, Endpoint } from "./pool.ts";
import { REPLY, type Reply } from "./reply.ts";
import { pickTarget } from "./split.ts";
import { COUNTER } from "./stats.ts";
import { type HostTable, LISTENER_IDLE, type Route, type Split, type Target } from "./table.ts";
import type { UpstreamConnection, UpstreamUser } from "./upstream.ts";

/** The side of an exchange that faces the client. */
export interface ClientSide {
  /** A 1xx answer; the exchange goes on. */
  sendInterim(head: Head): void;
  /** `body` is the BODY of the answer as it arrived, `length` its Content-Length or -1; `added` are lines that the proxy adds, or null. */
  sendHead(head: Head, body: number, length: number, added: Buffer | null): void;
  sendBody(buf: Buffer, start: number, end: number): void;
  sendTrailers(head: Head): void;
  sendEnd(): void;
  /** A whole answer of the proxy's own; only before sendHead. */
  sendReply(reply: Reply): void;
  /** The answer cannot be completed: the client must not take it for whole. */
  cut(): void;
  /** The upstream takes body bytes from now on. */
  takeBody(): void;
  pauseRequest(): void;
  resumeRequest(): void;
  /** The exchange is over; a new one may begin. */
  onExchangeEnd(): void;
}

const STATE = { IDLE: 0, CONNECTING: 1, OPEN: 2 } as const;
const MAX_RETRIES = 1;

/** See the head of this file. */
export class Exchange implements UpstreamUser {
  readonly #core: Core;
  readonly #client: ClientSide;
  readonly #matcher = new Matcher();
  /** The composed request head, for the first attempt and a second one. */
  readonly #head = new ByteStore();
  #state: number = STATE.IDLE;
  #up: UpstreamConnection | null = null;
  #endpoint: Endpoint | null = null;
  #cluster: Cluster | null = null;
  #route: Route | null = null;
  #cell = 0;
  #startMs = 0;
  #streamIdleMs = 0;
  #method = 0;
  #body = 0;
  #isRequestDone = false;
  #hasAnswer = false;
  #status = 0;
  #retries = 0;
  /** Copies that still wait for parts of the request. */
  #mirrors: Mirror[] | null = null;
  /** The sticky cookie that the answer brings. */
  #setCookie: Buffer | null = null;

  constructor(core: Core, client: ClientSide) {
    this.#core = core;
    this.#client = client;
  }

  get isActive(): boolean {
    return this.#state !== STATE.IDLE;
  }

  /** True while body bytes can be handed over; else they must be held. */
  get canTakeBody(): boolean {
    return this.#state === STATE.OPEN;
  }

  get isRequestDone(): boolean {
    return this.#isRequestDone;
  }

  get isHeadRequest(): boolean {
    return this.#method === METHOD.HEAD;
  }

  /** Longest silence that the route allows; 0: any. */
  get idleTimeoutMs(): number {
    const idleMs = this.#route?.idleTimeoutMs ?? 0;
    return idleMs === LISTENER_IDLE ? this.#streamIdleMs : idleMs;
  }

  /** Begins with a request head; `body` is the BODY that follows it. `streamIdleMs` serves routes that set no silence limit. */
  begin(hosts: HostTable, head: Head, body: number, client: ClientFacts, streamIdleMs: number): void {
    const core = this.#core;
    const route = this.#matcher.find(hosts, head);
    if (route === null) {
      core.counts.noRoute += 1;
      this.#client.sendReply(REPLY.noRoute);
      return;
    }
    const target = this.#pick(route.split, head, client);
    this.#route = route;
    this.#streamIdleMs = streamIdleMs;
    this.#cell = target.cell;
    this.#startMs = core.monotonicMs();
    this.#method = head.method;
    this.#body = body;
    this.#isRequestDone = body === BODY.NONE;
    this.#hasAnswer = false;
    this.#status = 0;
    this.#retries = 0;
    core.stats.begin(target.cell);
    this.#state = STATE.CONNECTING;
    const cluster = core.clusters.get(target.cluster);
    if (cluster === undefined) {
      this.#fail(COUNTER.UNHEALTHY, REPLY.unknownCluster);
      return;
    }
    if (cluster.active >= cluster.options.maxRequests) {
      this.#fail(COUNTER.OVERFLOW, REPLY.overflow);
      return;
    }
    this.#cluster = cluster;
    cluster.active += 1;
    this.#head.clear();
    composeRequest(this.#head, head, client, body === BODY.CHUNKED);
    this.#dispatch(cluster, null, true);
    if (route.mirrors.length > 0 && this.isActive)
      this.#mirrors = startMirrors(core, {
        route,
        head: this.#head,
        body,
        isHeadRequest: this.isHeadRequest,
      });
  }

  /** Payload of the request; only while `canTakeBody`. */
  sendBody(buf: Buffer, start: number, end: number): void {
    this.#core.stats.values[this.#cell + COUNTER.BYTES_IN]! += end - start;
    this.#up?.sendBody(buf, start, end);
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.sendBody(buf, start, end);
  }

  sendTrailers(head: Head): void {
    this.#up?.sendTrailers(head);
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.sendTrailers(head);
  }

  /** The request is complete. */
  endRequest(): void {
    this.#isRequestDone = true;
    this.#up?.sendEnd();
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.endRequest();
    this.#mirrors = null;
    this.#startTimeout();
  }

  /** The client is gone, or broke its framing: nothing may reach the upstream as a clean end. */
  abort(): void {
    if (this.#state === STATE.IDLE) return;
    this.#core.stats.abort(this.#cell);
    this.#release(false);
  }

  /** The route's silence limit passed. */
  onIdle(): void {
    this.#fail(COUNTER.TIMEOUT, this.#isRequestDone ? REPLY.upstreamTimeout : REPLY.slowBody);
  }

  pauseAnswer(): void {
    this.#up?.pause();
  }

  resumeAnswer(): void {
    this.#up?.resume();
  }

  // From the upstream connection.

  onConnected(): void {
    this.#open();
    this.#client.takeBody();
  }

  onConnectFailed(counter: number): void {
    const cluster = this.#cluster;
    const failed = this.#endpoint;
    this.#detach();
    if (cluster !== null && this.#retries < MAX_RETRIES && this.#retry(counter, cluster, failed, true))
      return;
    this.#fail(counter, counter === COUNTER.TIMEOUT ? REPLY.connectTimeout : REPLY.connectFailed);
  }

  onLost(isUnanswered: boolean, isReused: boolean): void {
    const isSafe = this.#method === METHOD.GET || this.#method === METHOD.HEAD;
    const cluster = this.#cluster;
    const mayRetry =
      isUnanswered && isReused && isSafe && this.#body === BODY.NONE && this.#retries < MAX_RETRIES;
    if (mayRetry && cluster !== null) {
      this.#detach();
      if (this.#retry(COUNTER.RESET, cluster, null, false)) return;
    }
    this.#fail(COUNTER.RESET, REPLY.upstreamReset);
  }

  onMalformed(): void {
    this.#fail(COUNTER.PROTOCOL, REPLY.upstreamProtocol);
  }

  onTimeout(): void {
    this.#fail(COUNTER.TIMEOUT, REPLY.upstreamTimeout);
  }

  onInterim(head: Head): void {
    this.#client.sendInterim(head);
  }

  onHead(head: Head, body: number, length: number): void {
    this.#hasAnswer = true;
    this.#status = head.status;
    this.#client.sendHead(head, body, length, this.#setCookie);
  }

  onBody(buf: Buffer, start: number, end: number): void {
    this.#core.stats.values[this.#cell + COUNTER.BYTES_OUT]! += end - start;
    this.#client.sendBody(buf, start, end);
  }

  onTrailers(head: Head): void {
    this.#client.sendTrailers(head);
  }

  onEnd(isReusable: boolean): void {
    const core = this.#core;
    core.stats.end(this.#cell, this.#status, true, core.monotonicMs() - this.#startMs);
    this.#release(isReusable && this.#isRequestDone);
    this.#client.sendEnd();
    this.#client.onExchangeEnd();
  }

  onUpstreamPending(): void {
    this.#client.pauseRequest();
  }

  onUpstreamDrained(): void {
    this.#client.resumeRequest();
  }

  #pick(split: Split, head: Head, client: ClientFacts): Target {
    const { dice, sticky } = this.#core;
    this.#setCookie = null;
    if (split.sticky === null) return pickTarget(split, dice);
    const target = sticky.pick(split, split.sticky, head, client);
    this.#setCookie = sticky.issued;
    return target;
  }

  /** Sends the request over a pooled connection, or opens one. */
  #dispatch(cluster: Cluster, not: Endpoint | null, mayReuse: boolean): void {
    const endpoint = cluster.pick(not);
    if (endpoint === null) {
      this.#fail(COUNTER.UNHEALTHY, REPLY.noEndpoint);
      return;
    }
    const idle = mayReuse ? endpoint.takeIdle() : null;
    if (idle === null && cluster.connections >= cluster.options.maxConnections) {
      this.#fail(COUNTER.OVERFLOW, REPLY.overflow);
      return;
    }
    const up = idle ?? cluster.connect(endpoint);
    this.#endpoint = endpoint;
    endpoint.active += 1;
    this.#up = up;
    up.begin(this);
    if (idle === null) return;
    this.#open();
  }

  /** False when there is no other endpoint to try. */
  #retry(counter: number, cluster: Cluster, not: Endpoint | null, mayReuse: boolean): boolean {
    if (not !== null && cluster.pick(not) === null) return false;
    this.#core.stats.add(this.#cell, counter, 1);
    this.#core.stats.add(this.#cell, COUNTER.RETRIES, 1);
    this.#retries += 1;
    this.#state = STATE.CONNECTING;
    this.#dispatch(cluster, not, mayReuse);
    // Over a pooled connection the request goes on at once; a new one says so by `onConnected`.
    if (this.#state === STATE.OPEN) this.#client.takeBody();
    return true;
  }

  #open(): void {
    this.#state = STATE.OPEN;
    const head = this.#head;
    this.#up?.sendHead(head.bytes, head.start, head.end, this.#body, this.#method === METHOD.HEAD);
    if (this.#isRequestDone) this.#startTimeout();
  }

  #startTimeout(): void {
    const timeoutMs = this.#route?.timeoutMs ?? 0;
    if (timeoutMs > 0) this.#up?.setTimeout(timeoutMs);
  }

  /** Ends the exchange without a whole answer from the upstream. */
  #fail(counter: number, reply: Reply): void {
    const core = this.#core;
    const hasAnswer = this.#hasAnswer;
    core.stats.add(this.#cell, counter, 1);
    const status = hasAnswer ? this.#status : reply.status;
    core.stats.end(this.#cell, status, !hasAnswer, core.monotonicMs() - this.#startMs);
    this.#release(false);
    if (hasAnswer) this.#client.cut();
    else this.#client.sendReply(reply);
    this.#client.onExchangeEnd();
  }

  /** Back to idle. The upstream connection is pooled, or reset when the request or the answer was not whole. */
  #release(isReusable: boolean): void {
    const up = this.#up;
    const cluster = this.#cluster;
    this.#detach();
    this.#state = STATE.IDLE;
    this.#cluster = null;
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.abandon();
    this.#mirrors = null;
    if (cluster !== null) cluster.active -= 1;
    if (up === null) return;
    if (isReusable) up.release();
    else up.abandon();
  }

  #detach(): void {
    if (this.#endpoint !== null) this.#endpoint.active -= 1;
    this.#endpoint = null;
    this.#up = null;
  }
}
