// [hot] The tries of a hedged request whose time is over: each goes on beside the one that was begun in its place, and serves the client if its
// answer comes first. What else becomes of them is heard of by their endpoints and the counters alone.
// Source: Envoy, api/envoy/config/route/v3/route_components.proto: HedgePolicy.hedge_on_per_try_timeout.

import type { Head } from "../http1/head.ts";
import type { UpstreamUser } from "../http1/upstream.ts";
import { COUNTER } from "../observe/stats.ts";
import type { Attempt } from "./attempt.ts";

/** Whose request it is. */
export interface LateTriesOwner extends UpstreamUser {
  /** The policy would have such an answer tried again: the client gets it only for want of any other. */
  isUnwanted(answer: Head): boolean;
  /** An answer begins, and is the one: that attempt is the owner's again, who hears of the answer next. */
  onLateAnswer(attempt: Attempt): void;
  /** A late try failed as that COUNTER says. */
  onLateFailed(counter: number): void;
}

/** Those of one request after another. */
export class LateTries {
  readonly #owner: LateTriesOwner;
  readonly #tries: LateTry[] = [];

  constructor(owner: LateTriesOwner) {
    this.#owner = owner;
  }

  /** Takes an attempt whose request was sent in full, and whose answer has not begun. */
  add(attempt: Attempt): void {
    this.#tries.push(new LateTry(this, attempt));
  }

  /** Gives back the one that came last; undefined: there is none. */
  take(): Attempt | undefined {
    return this.#tries.pop()?.attempt;
  }

  /** The time for all of the request is over. */
  timedOut(): void {
    for (const { attempt } of this.#tries) attempt.late(true);
  }

  /** Nobody waits for any of them any more. */
  end(): void {
    for (const { attempt } of this.#tries) attempt.end(false);
    this.#tries.length = 0;
  }

  // From the tries.

  /** A try has an answer, and is none of them any more. Returns the owner, whose it is now; null: the answer is nobody's. */
  claimed(late: LateTry, answer: Head): UpstreamUser | null {
    this.#tries.splice(this.#tries.indexOf(late), 1);
    if (answer.status >= 200 && this.#owner.isUnwanted(answer)) return null;
    this.#owner.onLateAnswer(late.attempt);
    return this.#owner;
  }

  failed(late: LateTry, counter: number): void {
    this.#tries.splice(this.#tries.indexOf(late), 1);
    late.attempt.endpoint?.onReset();
    late.attempt.end(false);
    this.#owner.onLateFailed(counter);
  }
}

class LateTry implements UpstreamUser {
  readonly attempt: Attempt;
  readonly #tries: LateTries;

  constructor(tries: LateTries, attempt: Attempt) {
    this.#tries = tries;
    this.attempt = attempt;
    attempt.up?.begin(this);
  }

  onInterim(head: Head): void {
    this.#tries.claimed(this, head)?.onInterim(head);
  }

  onHead(head: Head, body: number, length: number): void {
    const owner = this.#tries.claimed(this, head);
    if (owner !== null) {
      owner.onHead(head, body, length);
      return;
    }
    const { attempt } = this;
    attempt.endpoint?.onAnswer(head.status);
    attempt.up?.discard(true, length);
    // The connection goes its own way, and may serve again.
    attempt.leave();
    attempt.end(false);
  }

  onLost(): void {
    this.#tries.failed(this, COUNTER.RESET);
  }

  onMalformed(): void {
    this.#tries.failed(this, COUNTER.PROTOCOL);
  }

  /** Nobody gives the connection of an exchange a time of its own. */
  onTimeout(): void {
    this.#tries.failed(this, COUNTER.TIMEOUT);
  }

  // What cannot come once the request is out and before the answer has begun, or is of no use to anyone.

  onConnected(): void {}

  onConnectFailed(): void {}

  onBody(): void {}

  onTrailers(): void {}

  onEnd(): void {}

  onUpstreamPending(): void {}

  onUpstreamDrained(): void {}
}
