// When a client says that it refuses a response: at once, but the same content in the same words again only after growing pauses. A server
// that answers every refusal with what was refused would otherwise keep itself and the client busy for nothing.
// Source: go-control-plane: pkg/cache/v3/simple.go, v0.14: a request whose version is not the snapshot's is answered at once.

import { backoffMs } from "../lib/backoff.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { Refusal } from "./assembly.ts";
import type { ResourceKind } from "./messages.ts";

/** Between one refusal and the next of the same content. */
const PAUSE = { baseMs: 200, maxMs: 5_000 };

interface Standing {
  /** The last one. */
  refusal: Refusal;
  /** How often it was repeated. */
  readonly repeats: number;
  /** When it was said, or is to be. */
  saidAtMs: number;
  /** Undefined once it was said. */
  timer: Timer | undefined;
}

/** The refusals of one stream, by kind. */
export class Refusals {
  readonly #clock: Clock;
  readonly #say: (refusal: Refusal) => void;
  readonly #standing = new Map<ResourceKind, Standing>();

  constructor(clock: Clock, say: (refusal: Refusal) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  /** Says it now or when its pause is over; it takes the place of one of the kind that still waits. True: its words are new. */
  refuse(refusal: Refusal): boolean {
    const before = this.#standing.get(refusal.kind);
    const isNew = before?.refusal.rejection !== refusal.rejection;
    if (before === undefined || isNew || before.refusal.content !== refusal.content) {
      before?.timer?.cancel();
      this.#begin(refusal, 0, this.#clock.nowMs());
    } else if (before.timer === undefined) {
      const pauseMs = backoffMs(before.repeats, PAUSE);
      this.#begin(refusal, before.repeats + 1, before.saidAtMs + pauseMs);
    } else before.refusal = refusal;
    return isNew;
  }

  /**
   * Something else is about to be said of the kind's last response, such as other names. The one that waits is no longer to be said by
   * itself but along with that: without it the server would take its response as accepted, or as not answered yet.
   */
  overtake(kind: ResourceKind): Refusal | undefined {
    const standing = this.#standing.get(kind);
    if (standing?.timer === undefined) return undefined;
    standing.timer.cancel();
    standing.timer = undefined;
    standing.saidAtMs = this.#clock.nowMs();
    return standing.refusal;
  }

  /** The kind was accepted. */
  forget(kind: ResourceKind): void {
    this.#standing.get(kind)?.timer?.cancel();
    this.#standing.delete(kind);
  }

  /** The stream is over. */
  clear(): void {
    for (const kind of this.#standing.keys()) this.forget(kind);
  }

  #begin(refusal: Refusal, repeats: number, dueAtMs: number): void {
    const nowMs = this.#clock.nowMs();
    const standing: Standing = { refusal, repeats, saidAtMs: Math.max(nowMs, dueAtMs), timer: undefined };
    this.#standing.set(refusal.kind, standing);
    if (dueAtMs <= nowMs) {
      this.#say(refusal);
      return;
    }
    standing.timer = this.#clock.after(dueAtMs - nowMs, () => {
      standing.timer = undefined;
      this.#say(standing.refusal);
    });
  }
}
