// The step plugins of the model world: they answer as the script told them to, once for each call, or not at all.

import type { PluginAnswer, PluginCall, PluginOutcome, PluginsSnapshot } from "../engine/decide.ts";
import { parseDuration } from "../lib/duration.ts";

const PHASES = ["Running", "Successful", "Failed", "Error"] as const;

/** What a world's plugins are and say. */
export class PluginModel {
  names: readonly string[] = ["weir.dev/webhook"];
  disabled: readonly string[] = [];
  readonly #answers = new Map<string, PluginAnswer>();
  #outcomes: readonly PluginOutcome[] = [];
  #asked: ReadonlySet<string> = new Set();

  clone(): PluginModel {
    const copy = new PluginModel();
    copy.names = this.names;
    copy.disabled = this.disabled;
    for (const [operation, answer] of this.#answers) copy.#answers.set(operation, answer);
    copy.#outcomes = this.#outcomes;
    copy.#asked = this.#asked;
    return copy;
  }

  /** `Run Running/15s waiting for approval`, `Run error connection refused`, `Run none`: what an operation answers from now on. */
  answer(operation: string, kind: string, message: string): void {
    const [phase, after] = kind.split("/");
    const known = PHASES.find((one) => one === phase);
    if (kind === "none") this.#answers.delete(operation);
    else if (known === undefined) this.#answers.set(operation, { kind: "error", message });
    else {
      const retryAfterMs = parseDuration(after ?? "");
      const more = {
        ...(message === "" ? {} : { message }),
        ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
      };
      this.#answers.set(operation, { kind: "answer", phase: known, ...more });
    }
  }

  snapshot(): PluginsSnapshot {
    return { names: this.names, disabled: this.disabled, outcomes: this.#outcomes };
  }

  /** The calls that nobody has made yet. */
  unasked(calls: readonly PluginCall[]): readonly PluginCall[] {
    return calls.filter(({ id }) => !this.#asked.has(id));
  }

  /** Makes the calls, forgets those that are no longer wanted; tells whether an answer has come. */
  carryOut(calls: readonly PluginCall[], nowMs: number): boolean {
    const isWanted = (id: string): boolean => calls.some((call) => call.id === id);
    const kept = this.#outcomes.filter(({ call }) => isWanted(call.id));
    const open = calls.filter(({ id }) => !kept.some(({ call }) => call.id === id));
    const come = open.flatMap((call) => {
      const answer = this.#answers.get(call.operation);
      if (answer === undefined) return [];
      const status = answer.kind === "answer" ? { status: { calls: call.execution } } : {};
      return [{ call, startedAtMs: nowMs, endedAtMs: nowMs, answer: { ...answer, ...status } }];
    });
    this.#outcomes = [...kept, ...come];
    this.#asked = new Set(calls.map(({ id }) => id));
    return come.length > 0;
  }

  /** The process that made the calls has ended. */
  forget(): void {
    this.#outcomes = [];
    this.#asked = new Set();
  }
}
