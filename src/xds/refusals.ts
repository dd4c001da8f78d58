// When a client says that it refuses a response: the first time at once, the same words again only after growing pauses. A server that
// answers every refusal with what was refused would otherwise keep itself and the client busy for nothing.
// Source: go-control-plane: pkg/cache/v3/simple.go, v0.14: a request whose version is not the snapshot's is answered at once.

import { backoffMs } from "../lib/backoff.ts";
import type { Clock, Timer } from "../lib/clock.ts";
import type { ResourceKind } from "./messages.ts";

/** Between one refusal and the next with the same words. */
const PAUSE = { baseMs: 200, maxMs: 5_000 };

interface Standing {
  readonly words: string;
  /** How often the words were repeated. */
  readonly repeats: number;
  readonly saidAtMs: number;
  readonly timer: Timer | undefined;
}

/** The refusals of one stream, by kind. */
export class Refusals {
  readonly #clock: Clock;
  readonly #standing = new Map<ResourceKind, Standing>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `say` now or when its pause is over; it takes the place of one of the kind that still waits. True: these words are new. */
  refuse(kind: ResourceKind, words: string, say: () => void): boolean {
    const before = this.#standing.get(kind);
    before?.timer?.cancel();
    const isRepeated = before?.words === words;
    const nowMs = this.#clock.nowMs();
    const repeats = isRepeated ? before.repeats + 1 : 0;
    const saidAtMs = isRepeated ? Math.max(nowMs, before.saidAtMs + backoffMs(before.repeats, PAUSE)) : nowMs;
    const timer = saidAtMs > nowMs ? this.#clock.after(saidAtMs - nowMs, say) : undefined;
    this.#standing.set(kind, { words, repeats, saidAtMs, timer });
    if (timer === undefined) say();
    return !isRepeated;
  }

  /** Something else is said of the kind's last response, such as other names: a refusal that waits would be about the past. */
  overtake(kind: ResourceKind): void {
    this.#standing.get(kind)?.timer?.cancel();
  }

  /** The kind was accepted. */
  forget(kind: ResourceKind): void {
    this.overtake(kind);
    this.#standing.delete(kind);
  }

  /** The stream is over. */
  clear(): void {
    for (const kind of this.#standing.keys()) this.forget(kind);
  }
}
