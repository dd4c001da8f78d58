// When a request is tried again: the policy of a route, and what one request has used of it. The exchange tells what happened and asks; it alone
// acts. Bounds on retries in progress are the cluster's (pool.ts).
//
// Beyond any policy, this is tried again once, at once: a refused connection, on another endpoint; a request of which the kernel took nothing,
// because its pooled connection had been reset, if its body is still there; and a request without body by GET or HEAD on a pooled
// connection that closed before any answer. Of the first two nothing was sent, the third cannot have changed anything.

import { type Head, METHOD } from "../http1/head.ts";
import { isHeaderMatch } from "../route/rules.ts";
import type { Dice } from "../route/split.ts";
import type { HeaderRule } from "../route/table.ts";
import type { Endpoint } from "./endpoint.ts";

/** Statuses that a table has room for. */
export const STATUS_COUNT = 600;

/** Compiled from a route's retry_policy. */
export interface RetryPolicy {
  /** Tries beyond the first. */
  readonly retries: number;
  /** For one try, from the end of the request or the connection to the head of the answer; 0: none. */
  readonly perTryMs: number;
  /** Bound of the first wait; it doubles up to `maxMs`. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** 1 for each status that is tried again. */
  readonly statuses: Uint8Array;
  /** Answers with any of these are tried again. */
  readonly headers: readonly HeaderRule[];
  /** Where there are any, only requests with one of them are. */
  readonly requestHeaders: readonly HeaderRule[];
  /** A connection lost, an answer malformed or late. */
  readonly isOnReset: boolean;
  /** No connection could be made. */
  readonly isOnConnectFailure: boolean;
  /** Another endpoint wherever there is one. */
  readonly isElsewhere: boolean;
}

const NONE: readonly Endpoint[] = [];

/** What one request has used; one instance serves all requests of a client stream. */
export class RetryState {
  policy: RetryPolicy | null = null;
  readonly tried: Endpoint[] = [];
  #left = 0;
  #waits = 0;
  #isFreeUsed = false;

  begin(policy: RetryPolicy | null, request: Head): void {
    this.policy = policy;
    this.#left = policy === null || !isServed(policy, request) ? 0 : policy.retries;
    this.#waits = 0;
    this.#isFreeUsed = false;
    if (this.tried.length > 0) this.tried.length = 0;
  }

  /** Endpoints that the next try should avoid. */
  get avoided(): readonly Endpoint[] {
    return this.policy === null || this.policy.isElsewhere ? this.tried : NONE;
  }

  isWantedAfter(answer: Head): boolean {
    return this.#left > 0 && this.isUnwanted(answer);
  }

  /** The policy would not have that answer, whether or not there are tries left. */
  isUnwanted(answer: Head): boolean {
    const { policy } = this;
    if (policy === null) return false;
    return policy.statuses[answer.status] === 1 || hasAny(policy.headers, answer);
  }

  get isLeft(): boolean {
    return this.#left > 0;
  }

  get isWantedAfterReset(): boolean {
    return this.policy !== null && this.#left > 0 && this.policy.isOnReset;
  }

  get isWantedAfterConnectFailure(): boolean {
    return this.policy !== null && this.#left > 0 && this.policy.isOnConnectFailure;
  }

  /** A try that ended with that status would be tried again, were there tries left. */
  isSpentAfter(status: number): boolean {
    const { policy } = this;
    return policy !== null && policy.retries > 0 && this.#left === 0 && policy.statuses[status] === 1;
  }

  /** The same for one that failed before an answer: no connection was made, or it was lost. */
  isSpentAfterFailure(isConnected: boolean): boolean {
    const { policy } = this;
    if (policy === null || policy.retries === 0 || this.#left > 0) return false;
    return isConnected ? policy.isOnReset : policy.isOnConnectFailure;
  }

  /** The one try that needs no policy. */
  takeFree(): boolean {
    const isLeft = !this.#isFreeUsed;
    this.#isFreeUsed = true;
    return isLeft;
  }

  /** Uses one try and says how long to wait: anything below a bound that doubles, milliseconds. */
  take(dice: Dice): number {
    this.#left -= 1;
    const { policy } = this;
    if (policy === null) return 0;
    const bound = Math.min(policy.maxMs, policy.baseMs * 2 ** Math.min(this.#waits, 30));
    this.#waits += 1;
    return dice.below(Math.max(1, Math.ceil(bound)));
  }
}

function isServed({ requestHeaders }: RetryPolicy, request: Head): boolean {
  return requestHeaders.length === 0 || hasAny(requestHeaders, request);
}

function hasAny(rules: readonly HeaderRule[], head: Head): boolean {
  return rules.some((rule) => isHeaderMatch(rule, head));
}

/** True for a request that a closed connection may be tried again for without a policy. */
export function isHarmless(method: number): boolean {
  return method === METHOD.GET || method === METHOD.HEAD;
}
