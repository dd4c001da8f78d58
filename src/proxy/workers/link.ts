// One worker as its supervisor sees it: its process, what it was told, whether it answers.
import cluster, { type Worker } from "node:cluster";
import { assertNever } from "../../lib/assert.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { XdsUpdate } from "../../xds/client.ts";
import type { Core } from "../core.ts";
import { Ledger } from "./ledger.ts";
import type { News, Order, Refusal } from "./messages.ts";
import { type Numbering, Sender } from "./resources.ts";

/** Environment variable that tells a process that it is a worker, and which. */
export const WORKER_VARIABLE = "WEIR_WORKER";
/** Looks at a worker that runs, or that is starting, without an answer before it is given up. */
const SILENT_LOOKS = 10;
const STARTING_LOOKS = 60;
/** A worker that answers, but brings nothing in force in this time, is given up: more than it waits for a port that is taken. */
const VERDICT_MS = 15_000;

/** What became of an order. */
export type Outcome =
  | { readonly kind: "ok" }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /** The worker ended before it answered. */
  | { readonly kind: "gone" };

export interface LinkOptions {
  readonly core: Core;
  readonly index: number;
  readonly numbering: Numbering;
  onEjected(link: WorkerLink, news: Extract<News, { kind: "ejected" }>): void;
  onReport(link: WorkerLink): void;
}

/** See the head of this file. */
export class WorkerLink {
  readonly index: number;
  readonly ledger: Ledger;
  /** True while a configuration of the supervisor's choice is in force in it. */
  isServing = false;
  /** True once the supervisor has ended it, for it did not do its work. */
  isGivenUp = false;
  readonly startedAtMs: number;
  /** Resolves when the process has ended. */
  readonly ended: Promise<void>;
  readonly #options: LinkOptions;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #worker: Worker;
  readonly #sender: Sender;
  #isGone = false;
  #isHere = false;
  #unanswered = 0;
  #seq = 0;
  #onHere: (() => void) | undefined;
  #decide: ((outcome: Outcome) => void) | undefined;
  #onReport: (() => void)[] = [];

  /** Starts the process. */
  constructor(options: LinkOptions) {
    const { core, index } = options;
    this.#options = options;
    this.index = index;
    this.#clock = core.clock;
    this.#log = core.log;
    this.ledger = new Ledger(core);
    this.#sender = new Sender(options.numbering);
    this.startedAtMs = core.clock.steadyMs();
    // A worker must not replace itself by another process (see the launcher): its channel would be lost.
    this.#worker = cluster.fork({ [WORKER_VARIABLE]: String(index), WEIR_RESTARTED: "1" });
    this.#worker.on("message", (news: News) => this.#take(news));
    this.ended = this.#end();
  }

  get pid(): number {
    return this.#worker.process.pid ?? 0;
  }

  get isGone(): boolean {
    return this.#isGone;
  }

  /** Tells it something that needs no answer. */
  tell(order: Order): void {
    if (!this.#isGone && this.#worker.isConnected()) this.#worker.send(order);
  }

  /** Tells it what it is, once it listens. */
  async start(order: Extract<Order, { kind: "start" }>): Promise<Outcome> {
    if (!this.#isHere && !this.#isGone)
      await new Promise<void>((resolve) => {
        this.#onHere = resolve;
      });
    return this.#ask([order]);
  }

  /** Brings a configuration in force in it. One at a time. */
  configure(update: XdsUpdate): Promise<Outcome> {
    this.#seq += 1;
    return this.#ask(this.#sender.orders(update, this.#seq));
  }

  /** Asks for a report; resolves when it is there, or the worker is gone. */
  count(): Promise<void> {
    if (this.#isGone || !this.#isHere) return Promise.resolve();
    this.tell({ kind: "count" });
    return new Promise((resolve) => this.#onReport.push(resolve));
  }

  /** Called at regular times: asks for a sign of life, and gives up a worker that gave none for long. */
  look(): void {
    if (this.#isGone) return;
    this.#unanswered += 1;
    if (this.#unanswered > (this.#isHere ? SILENT_LOOKS : STARTING_LOOKS)) this.kill("it does not answer");
    else this.tell({ kind: "count" });
  }

  /** Ends it at once. Nothing else ends a process that is stopped. */
  kill(why: string): void {
    if (this.#isGone) return;
    this.isGivenUp = true;
    this.#log.warn("worker is replaced", { worker: this.index, pid: this.pid, why });
    this.#worker.process.kill("SIGKILL");
  }

  /** The end of all: no reason is needed. */
  end(): void {
    if (!this.#isGone) this.#worker.process.kill("SIGKILL");
  }

  #ask(orders: readonly Order[]): Promise<Outcome> {
    if (this.#isGone) return Promise.resolve({ kind: "gone" });
    return new Promise((resolve) => {
      const timer = this.#clock.after(VERDICT_MS, () => this.kill("it brings nothing in force"));
      this.#decide = (outcome) => {
        timer.cancel();
        resolve(outcome);
      };
      for (const order of orders) this.tell(order);
    });
  }

  /** Resolves when the process has ended and all that it had said was heard. */
  async #end(): Promise<void> {
    const worker = this.#worker;
    const disconnected = new Promise((resolve) => worker.once("disconnect", resolve));
    const exited = new Promise<string>((resolve) => {
      worker.once("exit", (code: number | null, signal: string | null) => resolve(signal ?? `code ${code}`));
      worker.on("error", (error) => {
        // That its channel closed is told by its end.
        this.#log.debug("worker cannot be told", { worker: this.index, why: error.message });
        if (worker.process.pid === undefined) resolve("never began");
      });
    });
    const how = await exited;
    this.#isGone = true;
    this.isServing = false;
    if (worker.process.pid !== undefined) await disconnected;
    this.ledger.close();
    this.#settle({ kind: "gone" });
    this.#answerReports();
    this.#onHere?.();
    this.#log.debug("worker ended", { worker: this.index, pid: this.pid, how });
  }

  #settle(outcome: Outcome): void {
    const decide = this.#decide;
    this.#decide = undefined;
    decide?.(outcome);
  }

  #take(news: News): void {
    this.#unanswered = 0;
    switch (news.kind) {
      case "here":
        this.#isHere = true;
        this.#onHere?.();
        break;
      case "started":
        this.#settle(outcomeOf(news.refusal));
        break;
      case "verdict":
        if (news.seq === this.#seq) this.#settle(outcomeOf(news.refusal));
        break;
      case "ejected":
        this.#options.onEjected(this, news);
        break;
      case "report":
        this.ledger.take(news);
        this.#options.onReport(this);
        this.#answerReports();
        break;
      default:
        assertNever(news);
    }
  }

  #answerReports(): void {
    for (const resolve of this.#onReport.splice(0)) resolve();
  }
}

function outcomeOf(refusal: Refusal | null): Outcome {
  return refusal === null ? { kind: "ok" } : { kind: "refused", refusal };
}
