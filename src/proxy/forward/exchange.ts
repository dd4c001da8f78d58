// [hot] Phase "forward": one request and its answer, between the side that faces the client (ClientSide) and one upstream connection. It owns
// the decisions in between: route, version, endpoint, retry, what a failure means. It knows no framing: heads, body pieces, trailers,
// reset, so that another protocol can stand on either side. One instance serves all requests of a client stream, one after another.
//
//   idle -> connecting -> open -> idle        connecting: a connection is being made, or waited for (attempt.ts)
//               ^           |
//               +- pausing -+                 a try failed that retry.ts wants repeated, or is late and hedged (latetries.ts)
import type { Timer } from "../../lib/clock.ts";
import type { ClientFacts } from "../admit/forwarded.ts";
import type { ClientLimits } from "../admit/limits.ts";
import type { Core } from "../core.ts";
import type { DeadlineOwner } from "../deadlines.ts";
import { BODY } from "../http1/body.ts";
import { composeRequest } from "../http1/compose.ts";
import { type Head, METHOD } from "../http1/head.ts";
import { REPLY, type Reply } from "../http1/reply.ts";
import type { LogRecord } from "../observe/logrecord.ts";
import { COUNTER } from "../observe/stats.ts";
import { type AnswerChanges, Changes } from "../route/edits.ts";
import { findRoute } from "../route/match.ts";
import { locationOf } from "../route/redirect.ts";
import { composeRewritten } from "../route/rewrite.ts";
import { pickTarget } from "../route/split.ts";
import {
  FROM_LISTENER,
  type HostTable,
  type OwnAnswer,
  type Route,
  type Split,
  type Target,
} from "../route/table.ts";
import { ByteStore } from "../wire/bytestore.ts";
import { Attempt, type AttemptUser, STARTED } from "./attempt.ts";
import { NO_HASH } from "./balancer.ts";
import { startMirrors } from "./copies.ts";
import { LateTries, type LateTriesOwner } from "./latetries.ts";
import type { Mirror } from "./mirror.ts";
import type { Cluster } from "./pool.ts";
import { Replay } from "./replay.ts";
import { isHarmless, RetryState } from "./retry.ts";
import { Timeouts } from "./timeouts.ts";

/** The side of an exchange that faces the client. */
export interface ClientSide {
  /** A 1xx answer; the exchange goes on. */
  sendInterim(head: Head): void;
  /** `body` is the BODY of the answer as it arrived, `length` its Content-Length or -1; `changes` are the route's, or null. */
  sendHead(head: Head, body: number, length: number, changes: AnswerChanges | null): void;
  sendBody(buf: Buffer, start: number, end: number): void;
  sendTrailers(head: Head): void;
  sendEnd(): void;
  /** A whole answer of the proxy's own; only before sendHead. */
  sendReply(reply: Reply, changes: AnswerChanges | null): void;
  /** The same for a route's own answer; `location` is where a redirect leads. */
  sendAnswer(answer: OwnAnswer, location: string | null, changes: AnswerChanges): void;
  /** The answer cannot be completed, and the client must not take it for whole. `why`: what a protocol that can state reasons says of it. */
  cut(why: Reply): void;
  /** The upstream takes body bytes from now on. */
  takeBody(): void;
  pauseRequest(): void;
  resumeRequest(): void;
  /** The exchange is over; a new one may begin. */
  onExchangeEnd(): void;
}

/** What a listener sets for exchanges whose route does not. */
export interface StreamBounds {
  /** Longest silence; 0: any. */
  readonly streamIdleMs: number;
  readonly clientLimits: ClientLimits;
}

const STATE = { IDLE: 0, CONNECTING: 1, OPEN: 2, PAUSING: 3 } as const;
const NO_COUNTER = -1;

/** See the head of this file. */
export class Exchange implements AttemptUser, LateTriesOwner, DeadlineOwner {
  /** What consistent choices of an endpoint go by: 32 bits, unsigned, or NO_HASH. */
  hash: number = NO_HASH;
  readonly #core: Core;
  readonly #client: ClientSide;
  readonly #slot: number;
  /** The composed request head, for every try. */
  readonly #head = new ByteStore();
  #attempt = new Attempt(this);
  /** Beside it; null: there never were any. */
  #late: LateTries | null = null;
  readonly #retry = new RetryState();
  /** The body so far, where a policy may want it again. */
  #replay: Replay | null = null;
  #state: number = STATE.IDLE;
  #cluster: Cluster | null = null;
  #route: Route | null = null;
  #record: LogRecord | null = null;
  #cell = 0;
  #startMs = 0;
  #streamIdleMs = 0;
  #method = 0;
  #body = 0;
  #isRequestDone = false;
  /** Something of an answer went to the client: no further try. */
  #hasSent = false;
  #hasAnswer = false;
  #status = 0;
  readonly #timeouts: Timeouts;
  #pause: Timer | null = null;
  /** Copies that still wait for parts of the request. */
  #mirrors: Mirror[] | null = null;
  /** What the route changes about the answer: its edits, the sticky cookie. */
  readonly #changes = new Changes();

  constructor(core: Core, client: ClientSide) {
    this.#core = core;
    this.#client = client;
    this.#slot = core.deadlines.add(this);
    this.#timeouts = new Timeouts(core.deadlines, this.#slot);
  }

  /** The client is gone, and no request will follow. */
  close(): void {
    this.abort();
    this.#core.deadlines.remove(this.#slot);
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
    return idleMs === FROM_LISTENER ? this.#streamIdleMs : idleMs;
  }

  /** Begins with a request head; `body` is the BODY that follows it. `bounds` are those of its listener. */
  begin(hosts: HostTable, head: Head, body: number, client: ClientFacts, bounds: StreamBounds): void {
    const core = this.#core;
    const route = findRoute(hosts, head, core.dice);
    if (route === null) {
      core.counts.noRoute += 1;
      this.#client.sendReply(REPLY.noRoute, null);
      return;
    }
    if (route.answer !== null) {
      this.#answer(route, route.answer, head, client);
      return;
    }
    const target = this.#pick(route.split, head, client);
    this.#route = route;
    this.#streamIdleMs = bounds.streamIdleMs;
    this.#cell = target.cell;
    this.#startMs = core.monotonicMs();
    this.#method = head.method;
    this.#body = body;
    this.#isRequestDone = body === BODY.NONE;
    this.#hasSent = false;
    this.#hasAnswer = false;
    this.#status = 0;
    this.#timeouts.begin(route.streamMs === FROM_LISTENER ? bounds.clientLimits.streamMs : route.streamMs);
    this.#retry.begin(route.retry, head);
    this.#record = client.record;
    if (this.#record !== null) this.#record.begin(route.name, target.cluster, this.#startMs);
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
    this.#head.takeFrom(core.spareHeads);
    if (cluster.isHashed) this.#hash(route, head, client);
    if (target.rewrite === null) composeRequest(this.#head, head, client, body === BODY.CHUNKED);
    else composeRewritten(this.#head, head, client, body === BODY.CHUNKED, target.rewrite);
    if (route.retry !== null && route.retry.retries > 0 && body !== BODY.NONE)
      this.#replay = new Replay(core, cluster.options.bufferBytes);
    if (this.#isRequestDone) this.#startTimeout();
    this.#start(cluster, true);
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
    this.#attempt.up?.sendBody(buf, start, end);
    if (this.#replay !== null) this.#replay.keep(buf, start, end);
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.sendBody(buf, start, end);
  }

  sendTrailers(head: Head): void {
    // Trailers are not kept: a request that has them is not sent again.
    this.#replay?.drop();
    this.#attempt.up?.sendTrailers(head);
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.sendTrailers(head);
  }

  /** The request is complete. */
  endRequest(): void {
    this.#isRequestDone = true;
    this.#attempt.up?.sendEnd();
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.endRequest();
    this.#mirrors = null;
    this.#startTimeout();
    if (!this.#hasAnswer) this.#startTry();
  }

  /** The client is gone, or broke its framing: nothing may reach the upstream as a clean end. */
  abort(): void {
    if (this.#state === STATE.IDLE) return;
    this.#core.stats.abort(this.#cell);
    this.#release(false);
  }

  /** The client is too slow: that is not held against the upstream. */
  giveUp(reply: Reply): void {
    const hasAnswer = this.#hasAnswer;
    this.abort();
    if (hasAnswer) this.#client.cut(reply);
    else this.#client.sendReply(reply, this.#changes.orNull());
    this.#client.onExchangeEnd();
  }

  /** The route's silence limit passed. */
  onIdle(): void {
    this.#fail(COUNTER.TIMEOUT, this.#isRequestDone ? REPLY.upstreamTimeout : REPLY.slowBody);
  }

  pauseAnswer(): void {
    this.#attempt.up?.pause();
  }

  resumeAnswer(): void {
    this.#attempt.up?.resume();
  }

  // From deadlines, the attempt and its connection.

  onDeadline(): void {
    if (this.#state === STATE.IDLE) return;
    const isTry = this.#timeouts.isTryAlone;
    const isHedged = isTry && this.#route?.isHedged === true;
    // An upstream that waits for the client, or whose answer is under way, is not late; nor is one that the client left too little time.
    if (this.#isRequestDone && !this.#hasAnswer && this.#timeouts.isUpstreamLate) {
      this.#attempt.late(!isHedged);
      if (!isTry) this.#late?.timedOut();
    }
    if (isHedged) this.#hedge();
    else if (isTry && this.#retry.isWantedAfterReset && this.#mayTryAgain()) {
      this.#attempt.up?.abandon();
      this.#tryLater(COUNTER.TIMEOUT);
    } else this.onTimeout();
  }

  onTimeout(): void {
    this.onIdle();
  }

  onInternalError(error: unknown): void {
    this.#core.internalError("exchange", error);
    if (this.#state !== STATE.IDLE) this.#fail(COUNTER.PROTOCOL, REPLY.internal);
  }

  onConnected(): void {
    this.#open();
    this.#client.takeBody();
  }

  onEndpointGone(): void {
    this.#restart(true);
  }

  onConnectFailed(counter: number): void {
    const cluster = this.#cluster;
    this.#attempt.endpoint?.onConnectFailed();
    this.#leaveTry();
    if (cluster?.hasOther(this.#retry.tried) && this.#retry.takeFree()) {
      this.#countRetry(counter);
      this.#restart(true);
    } else if (this.#retry.isWantedAfterConnectFailure && this.#mayTryAgain()) this.#tryLater(counter);
    else this.#failTry(counter, counter === COUNTER.TIMEOUT ? REPLY.connectTimeout : REPLY.connectFailed);
  }

  onLost(isUnanswered: boolean, isReused: boolean, isUnsent: boolean): void {
    const isThere = this.#body === BODY.NONE || this.#replay?.isWhole === true;
    const isSafe = isUnsent ? isThere : this.#body === BODY.NONE && isHarmless(this.#method);
    if (isUnanswered && isReused && isSafe && this.#retry.takeFree()) {
      this.#attempt.leave();
      this.#countRetry(COUNTER.RESET);
      this.#restart(false);
      return;
    }
    this.#attempt.endpoint?.onReset();
    if (this.#retry.isWantedAfterReset && this.#mayTryAgain()) this.#tryLater(COUNTER.RESET);
    else this.#failTry(COUNTER.RESET, REPLY.upstreamReset);
  }

  onMalformed(): void {
    this.#attempt.endpoint?.onReset();
    if (this.#retry.isWantedAfterReset && this.#mayTryAgain()) {
      this.#attempt.up?.abandon();
      this.#tryLater(COUNTER.PROTOCOL);
    } else this.#failTry(COUNTER.PROTOCOL, REPLY.upstreamProtocol);
  }

  onInterim(head: Head): void {
    this.#late?.end();
    this.#hasSent = true;
    this.#client.sendInterim(head);
  }

  onHead(head: Head, body: number, length: number): void {
    const { status } = head;
    this.#attempt.endpoint?.onAnswer(status);
    if (this.#retry.isWantedAfter(head) && this.#mayTryAgain()) {
      this.#attempt.up?.discard(this.#isRequestDone, length);
      this.#tryLater(NO_COUNTER);
      return;
    }
    if (this.#late !== null && this.#isLeftToLate(head, length)) return;
    if (this.#record !== null) this.#record.isRetrySpent = this.#retry.isSpentAfter(status);
    this.#hasSent = true;
    this.#hasAnswer = true;
    this.#status = status;
    this.#timeouts.endTry();
    this.#client.sendHead(head, body, length, this.#changes.orNull());
  }

  onBody(buf: Buffer, start: number, end: number): void {
    this.#core.stats.values[this.#cell + COUNTER.BYTES_OUT]! += end - start;
    this.#client.sendBody(buf, start, end);
  }

  onTrailers(head: Head): void {
    this.#client.sendTrailers(head);
  }

  onEnd(isReusable: boolean): void {
    this.#count(this.#status, true);
    this.#release(isReusable && this.#isRequestDone);
    this.#client.sendEnd();
    this.#client.onExchangeEnd();
  }

  isUnwanted(answer: Head): boolean {
    return this.#retry.isUnwanted(answer);
  }

  onLateAnswer(attempt: Attempt): void {
    this.#resume(attempt);
  }

  onLateFailed(counter: number): void {
    this.#core.stats.add(this.#cell, counter, 1);
  }

  onUpstreamPending(): void {
    this.#client.pauseRequest();
  }

  onUpstreamDrained(): void {
    this.#client.resumeRequest();
  }

  #pick(split: Split, head: Head, client: ClientFacts): Target {
    const { dice, sticky } = this.#core;
    const isSticky = split.sticky !== null;
    const target = isSticky ? sticky.pick(split, split.sticky, head, client) : pickTarget(split, dice);
    this.#changes.set(target.answerEdits, isSticky ? sticky.issued : null, client.address);
    return target;
  }

  /** What a ring chooses by. Where the version was chosen by a hash it is that one: a cookie is issued once. */
  #hash({ hash, split }: Route, head: Head, client: ClientFacts): void {
    const { sticky } = this.#core;
    if (split.sticky === null && hash !== null) {
      sticky.hashFor(hash, head, client);
      this.#changes.added = sticky.issued;
    }
    this.hash = split.sticky === null && hash === null ? NO_HASH : sticky.hash;
  }

  /** Answers in the name of the route. */
  #answer({ name }: Route, answer: OwnAnswer, head: Head, client: ClientFacts): void {
    if (client.record !== null) client.record.begin(name, "", this.#core.monotonicMs());
    const location = answer.location === null ? null : locationOf(answer.location, head, client);
    this.#changes.set(answer.edits, null, client.address);
    this.#client.sendAnswer(answer, location, this.#changes);
  }

  /** A try: over a pooled connection at once, over a new one when it stands. */
  #start(cluster: Cluster, mayReuse: boolean): void {
    this.#state = STATE.CONNECTING;
    const started = this.#attempt.start(cluster, this.hash, this.#retry.avoided, mayReuse);
    const { endpoint } = this.#attempt;
    if (endpoint !== null) this.#record?.attempt(endpoint);
    if (started === STARTED.OPEN) this.#open();
    else if (started === STARTED.NO_ENDPOINT) this.#failTry(COUNTER.UNHEALTHY, REPLY.noEndpoint);
    else if (started === STARTED.OVERFLOW) this.#failTry(COUNTER.OVERFLOW, REPLY.overflow);
  }

  /** A further try, whose time begins when its request is out. */
  #restart(mayReuse: boolean): void {
    this.#timeouts.endTry();
    if (this.#cluster !== null) this.#start(this.#cluster, mayReuse);
    if (this.canTakeBody) this.#client.takeBody();
  }

  #open(): void {
    const { up } = this.#attempt;
    if (up === null) return;
    this.#attempt.opened();
    this.#state = STATE.OPEN;
    const head = this.#head;
    up.sendHead(head.bytes, head.start, head.end, this.#body, this.#method === METHOD.HEAD);
    if (this.#replay !== null) this.#replay.sendTo(up);
    if (!this.#isRequestDone) return;
    if (this.#replay !== null) up.sendEnd();
    this.#startTry();
  }

  /** Whether a further try is possible, and counted: nothing was sent to the client, the request can be sent again, the bounds allow it. */
  #mayTryAgain(attempt = this.#attempt): boolean {
    const cluster = this.#cluster;
    if (cluster === null || this.#hasSent || this.#replay?.isWhole === false) return false;
    return attempt.claimRetry(cluster);
  }

  /** The try at hand failed as `counter` says; after a pause comes the next one. */
  #tryLater(counter: number): void {
    const core = this.#core;
    this.#leaveTry();
    this.#countRetry(counter);
    this.#state = STATE.PAUSING;
    this.#timeouts.endTry();
    this.#client.resumeRequest();
    this.#pause = core.after(this.#retry.take(core.dice), this, () => {
      this.#pause = null;
      this.#restart(true);
    });
  }

  #leaveTry(): void {
    const { endpoint } = this.#attempt;
    if (endpoint !== null) this.#retry.tried.push(endpoint);
    this.#attempt.leave();
  }

  #countRetry(counter: number): void {
    if (counter !== NO_COUNTER) this.#core.stats.add(this.#cell, counter, 1);
    this.#core.stats.add(this.#cell, COUNTER.RETRIES, 1);
  }

  /** The request is complete: the route's time for the whole answer runs, all tries included. */
  #startTimeout(): void {
    this.#timeouts.startWhole(this.#route?.timeoutMs ?? 0);
  }

  #startTry(): void {
    this.#timeouts.startTry(this.#retry.policy?.perTryMs ?? 0);
  }

  /** The try at hand is late. It goes on, and a further one begins beside it, where that is possible; else it may take the time there is. */
  #hedge(): void {
    const late = this.#attempt;
    const next = new Attempt(this);
    this.#timeouts.endTry();
    if (!this.#retry.isLeft || !this.#mayTryAgain(next)) return;
    if (late.endpoint !== null) this.#retry.tried.push(late.endpoint);
    this.#late ??= new LateTries(this);
    this.#late.add(late);
    this.#attempt = next;
    this.#tryLater(NO_COUNTER);
  }

  /** Whether the answer that just began is given up for what a late try may still bring. Else it is the one, and those are over. */
  #isLeftToLate(head: Head, length: number): boolean {
    const late = this.#retry.isUnwanted(head) ? this.#late?.take() : undefined;
    if (late === undefined) this.#late?.end();
    else {
      this.#attempt.up?.discard(this.#isRequestDone, length);
      this.#leaveTry();
      this.#resume(late);
    }
    return late !== undefined;
  }

  /** The try at hand came to nothing, and none follows: a late one may still answer. */
  #failTry(counter: number, reply: Reply): void {
    const late = this.#late?.take();
    if (late === undefined) {
      this.#fail(counter, reply);
      return;
    }
    this.#core.stats.add(this.#cell, counter, 1);
    this.#resume(late);
  }

  /** A late try takes the place of the one at hand, which is over. It has all the time there is, and is a try as any other in what comes of it. */
  #resume(late: Attempt): void {
    this.#timeouts.endTry();
    this.#attempt.end(false);
    this.#pause?.cancel();
    this.#pause = null;
    this.#attempt = late;
    this.#state = STATE.OPEN;
    late.up?.begin(this);
    if (this.#record !== null) this.#record.endpoint = late.endpoint;
  }

  /** Ends the exchange without a whole answer from the upstream. */
  #fail(counter: number, reply: Reply): void {
    const core = this.#core;
    const hasAnswer = this.#hasAnswer;
    core.stats.add(this.#cell, counter, 1);
    const status = hasAnswer ? this.#status : reply.status;
    if (this.#record !== null) this.#noteFailure(this.#record, counter, reply);
    this.#count(status, !hasAnswer);
    this.#release(false);
    if (hasAnswer) this.#client.cut(reply);
    else this.#client.sendReply(reply, this.#changes.orNull());
    this.#client.onExchangeEnd();
  }

  #noteFailure(record: LogRecord, counter: number, reply: Reply): void {
    if (this.#hasAnswer) record.fail(reply.flag ?? "", reply.reason);
    else if (counter === COUNTER.CONNECT || counter === COUNTER.RESET || counter === COUNTER.PROTOCOL)
      record.isRetrySpent = this.#retry.isSpentAfterFailure(counter !== COUNTER.CONNECT);
  }

  /** The exchange is over; `status` is what the client got. */
  #count(status: number, isWhole: boolean): void {
    const endMs = this.#core.monotonicMs();
    this.#core.stats.end(this.#cell, status, isWhole, endMs - this.#startMs);
    if (this.#record !== null) this.#record.endMs = endMs;
  }

  /** Back to idle. The upstream connection is pooled, or reset when the request or the answer was not whole. */
  #release(isReusable: boolean): void {
    const cluster = this.#cluster;
    this.#state = STATE.IDLE;
    this.#cluster = null;
    this.#record = null;
    if (this.#mirrors !== null) for (const mirror of this.#mirrors) mirror.abandon();
    this.#mirrors = null;
    this.#timeouts.end();
    this.#pause?.cancel();
    this.#pause = null;
    this.#replay?.drop();
    this.#replay = null;
    this.#head.giveTo(this.#core.spareHeads);
    if (cluster !== null) cluster.active -= 1;
    this.#late?.end();
    this.#attempt.end(isReusable);
  }
}
