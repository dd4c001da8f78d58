// [hot] One try of a request: an endpoint, and a connection to it that is pooled, new, or waited for while the cluster may have no more of them.
// It counts what the cluster's bounds go by. One instance serves all tries of a client stream, one after another, but for those that go on
// beside the next one (latetries.ts).

import type { UpstreamConnection, UpstreamUser } from "../http1/upstream.ts";
import type { Endpoint, Waiter } from "./endpoint.ts";
import type { Cluster } from "./pool.ts";

/** What `start` came to; negative: nothing was started. */
export const STARTED = {
  /** Over a pooled connection: the request can go out. */
  OPEN: 0,
  /** `onConnected` or `onConnectFailed` of the user follows. */
  PENDING: 1,
  NO_ENDPOINT: -1,
  /** A bound of the cluster is reached. */
  OVERFLOW: -2,
} as const;

/** Whom an attempt serves. */
export interface AttemptUser extends UpstreamUser {
  /** The endpoint that was waited for is gone; the attempt is over. */
  onEndpointGone(): void;
  onInternalError(error: unknown): void;
}

/** See the head of this file. */
export class Attempt implements Waiter {
  cluster: Cluster | null = null;
  endpoint: Endpoint | null = null;
  up: UpstreamConnection | null = null;
  readonly #user: AttemptUser;
  #isPending = false;
  #isWaiting = false;
  #isLate = false;
  /** Counts among its cluster's retries. */
  #isRetry = false;

  constructor(user: AttemptUser) {
    this.#user = user;
  }

  /** Begins on an endpoint that the cluster picks: one of `avoided` only where there is no other. Returns STARTED. */
  start(cluster: Cluster, hash: number, avoided: readonly Endpoint[], mayReuse: boolean): number {
    let endpoint = cluster.pick(hash, avoided);
    if (endpoint === null && avoided.length > 0) endpoint = cluster.pick(hash);
    if (endpoint === null) return STARTED.NO_ENDPOINT;
    const idle = mayReuse ? endpoint.takeIdle() : null;
    if (idle === null && cluster.pending >= cluster.options.maxPending) return STARTED.OVERFLOW;
    this.cluster = cluster;
    this.endpoint = endpoint;
    endpoint.active += 1;
    endpoint.requests += 1;
    if (idle !== null) {
      this.#use(idle);
      return STARTED.OPEN;
    }
    this.#isPending = true;
    cluster.pending += 1;
    if (cluster.hasRoom(endpoint)) this.#use(cluster.connect(endpoint));
    else this.#wait(cluster, endpoint);
    return STARTED.PENDING;
  }

  /** The connection stands: it waits no more. */
  opened(): void {
    if (!this.#isPending) return;
    this.#isPending = false;
    if (this.cluster !== null) this.cluster.pending -= 1;
  }

  /** Counts its next try among the cluster's retries, instead of its last one; false: the bounds forbid it. */
  claimRetry(cluster: Cluster): boolean {
    this.#dropRetry();
    if (!cluster.mayRetry()) return false;
    this.cluster = cluster;
    cluster.retrying += 1;
    this.#isRetry = true;
    return true;
  }

  /** The time for its answer is over: its endpoint hears of that once. `isOver`: so is the try. */
  late(isOver: boolean): void {
    if (!this.#isLate) this.endpoint?.onLate();
    this.#isLate = true;
    if (isOver) this.endpoint?.onUnanswered();
  }

  /** Over, and no try follows. The connection is pooled, or reset; null: it went already. */
  end(isReusable: boolean): void {
    const { up } = this;
    this.#dropRetry();
    this.leave();
    if (up === null) return;
    if (isReusable) up.release();
    else up.abandon();
  }

  /** Over, and the connection goes its own way. */
  leave(): void {
    this.opened();
    this.#stopWaiting();
    this.#isLate = false;
    if (this.endpoint !== null) this.endpoint.active -= 1;
    this.endpoint = null;
    this.up = null;
  }

  onFree(connection: UpstreamConnection): void {
    this.#forgetWaiting();
    this.#use(connection);
    this.#user.onConnected();
  }

  onRoom(): void {
    this.#forgetWaiting();
    const { cluster, endpoint } = this;
    if (cluster !== null && endpoint !== null) this.#use(cluster.connect(endpoint));
  }

  onEndpointGone(endpoint: Endpoint): void {
    if (!this.#isWaiting || this.endpoint !== endpoint) return;
    this.#forgetWaiting();
    this.leave();
    this.#user.onEndpointGone();
  }

  onInternalError(error: unknown): void {
    this.#user.onInternalError(error);
  }

  #dropRetry(): void {
    if (this.#isRetry && this.cluster !== null) this.cluster.retrying -= 1;
    this.#isRetry = false;
  }

  #use(up: UpstreamConnection): void {
    this.up = up;
    up.begin(this.#user);
  }

  #wait(cluster: Cluster, endpoint: Endpoint): void {
    this.#isWaiting = true;
    cluster.waiting += 1;
    endpoint.wait(this);
  }

  #stopWaiting(): void {
    if (!this.#isWaiting) return;
    this.endpoint?.stopWaiting(this);
    this.#forgetWaiting();
  }

  #forgetWaiting(): void {
    if (!this.#isWaiting) return;
    this.#isWaiting = false;
    if (this.cluster !== null) this.cluster.waiting -= 1;
  }
}
