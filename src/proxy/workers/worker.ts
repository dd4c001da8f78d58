// The door of a worker process: the data plane of one of several event loops, told by its supervisor what is in force and when to end. It ends
// by itself when the supervisor is gone (node:cluster sees to that).
import { assertNever } from "../../lib/assert.ts";
import { type Clock, sleep } from "../../lib/clock.ts";
import { isWeirError, messageOf, WeirError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { releaseStartupMemory } from "../../lib/memory.ts";
import { BootstrapSchema, fromBinary } from "../../xds/types.ts";
import { Configuration } from "../configuration.ts";
import { Core } from "../core.ts";
import { Drain } from "../drain.ts";
import type { Endpoint } from "../forward/endpoint.ts";
import type { Cluster } from "../forward/pool.ts";
import type { News, Order, Refusal } from "./messages.ts";
import { Reporter } from "./report.ts";
import { Receiver } from "./resources.ts";

/** Code of a worker that failed by weir's own fault, or that has no supervisor. */
const INTERNAL = "WEIR_ERR_PROXY_WORKER";

/** What a disk has not taken of the access logs by then is given up: before the supervisor's own patience ends. */
const LOG_CLOSE_MS = 1_000;

export interface WorkerDeps {
  readonly clock: Clock;
  readonly log: Logger;
}

/** Serves as a worker of the process that started this one; resolves when it was told to end and has drained. */
export function runWorker(deps: WorkerDeps): Promise<void> {
  if (process.send === undefined) {
    const message = "WEIR_WORKER is set, but no supervisor has started this process; unset it";
    return Promise.reject(new WeirError({ code: INTERNAL, source: "user", message }));
  }
  return new Promise((resolve) => {
    const worker = new WorkerSide(deps, (news, sent) => process.send?.(news, undefined, undefined, sent));
    worker.onEnd = () => {
      resolve();
      process.disconnect?.();
    };
    process.on("message", (order: Order) => worker.take(order));
    process.send?.({ kind: "here" } satisfies News);
  });
}

/** What runs once the worker knows what it is. */
interface Plane {
  readonly core: Core;
  readonly configuration: Configuration;
  readonly drain: Drain;
  readonly reporter: Reporter;
}

class WorkerSide {
  onEnd: () => void = () => undefined;
  readonly #deps: WorkerDeps;
  readonly #send: (news: News, sent?: () => void) => void;
  readonly #receiver = new Receiver();
  #plane: Plane | undefined;
  #isSettled = false;
  /** Orders that take time are carried out one after another. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: WorkerDeps, send: (news: News, sent?: () => void) => void) {
    this.#deps = deps;
    this.#send = send;
  }

  take(order: Order): void {
    switch (order.kind) {
      case "start":
        this.#inTurn(() => this.#start(order));
        return;
      case "resources":
        // In turn, too: configurations forget what they do not name.
        this.#inTurn(async () => this.#receiver.take(order.resources));
        return;
      case "configure":
        this.#inTurn(() => this.#configure(order));
        return;
      case "count":
        if (this.#plane !== undefined) this.#send(this.#plane.reporter.report());
        return;
      case "drain":
        this.#drain(order);
        return;
      case "hurry":
        this.#plane?.drain.hurry();
        return;
      case "reopen":
        this.#plane?.core.logs.reopen();
        return;
      case "found":
      case "checked":
      case "ejected":
      case "back":
        this.#inTurn(async () => this.#learn(order));
        return;
      default:
        assertNever(order);
    }
  }

  #inTurn(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work);
  }

  async #start({
    bootstrap,
    limits,
    isDynamic,
    index,
    count,
    names,
  }: Extract<Order, { kind: "start" }>): Promise<void> {
    const refusal = await refusalOf(async () => {
      const core = new Core({
        clock: this.#deps.clock,
        log: this.#deps.log.child({ worker: index }),
        limits,
        seat: {
          isServing: true,
          isChecking: false,
          share: { index, count },
          onChecked: () => undefined,
          onEjected: (cluster, endpoint, forMs) => this.#send({ kind: "ejected", cluster, endpoint, forMs }),
          onTakenBack: () => undefined,
          onRenewed: () => undefined,
        },
      });
      const { listeners = [], clusters = [] } = fromBinary(BootstrapSchema, bootstrap).staticResources ?? {};
      const configuration = new Configuration(core, { listeners, clusters }, isDynamic);
      for (const found of names) configuration.learnNames(found);
      core.deadlines.start();
      await configuration.openStatic();
      const drain = new Drain(core, configuration);
      this.#plane = { core, configuration, drain, reporter: new Reporter(core, configuration) };
    });
    this.#settleIn();
    this.#send({ kind: "started", refusal });
  }

  async #configure(order: Extract<Order, { kind: "configure" }>): Promise<void> {
    const refusal = await refusalOf(async () => {
      if (this.#plane === undefined) throw new Error("it was told no beginning");
      await this.#plane.configuration.apply(this.#receiver.assemble(order));
    });
    this.#settleIn();
    this.#send({ kind: "verdict", seq: order.seq, refusal });
    if (this.#plane !== undefined) this.#send(this.#plane.reporter.report());
  }

  /** Starting up is over once there is something to serve: what it took is given back, as long as there is no load. */
  #settleIn(): void {
    if (this.#isSettled || this.#plane?.configuration.isReady !== true) return;
    this.#isSettled = true;
    releaseStartupMemory();
  }

  /** Takes what others found out about endpoints. */
  #learn(order: Extract<Order, { kind: "found" | "checked" | "ejected" | "back" }>): void {
    switch (order.kind) {
      case "found":
        this.#plane?.configuration.learnNames(order);
        return;
      case "checked":
        for (const { cluster, endpoint, isFailed } of order.results)
          this.#of(cluster, endpoint, (found, one) => found.setHealth(one, { isCheckFailed: isFailed }));
        return;
      case "ejected":
        this.#of(order.cluster, order.endpoint, (found, one) => found.detector?.adopt(one, order.forMs));
        return;
      case "back":
        this.#of(order.cluster, order.endpoint, (found, one) => found.detector?.takeBack(one));
    }
  }

  #of(name: string, key: string, act: (cluster: Cluster, endpoint: Endpoint) => void): void {
    const cluster = this.#plane?.core.clusters.get(name);
    const endpoint = cluster?.endpoints.find((one) => one.key === key);
    // Neither is an error: it may have gone meanwhile.
    if (cluster !== undefined && endpoint !== undefined) act(cluster, endpoint);
  }

  #drain({ closeInMs, isEnd }: Extract<Order, { kind: "drain" }>): void {
    const plane = this.#plane;
    if (plane === undefined) {
      if (isEnd) this.onEnd();
      return;
    }
    if (!isEnd) {
      void plane.drain.begin(closeInMs);
      return;
    }
    void plane.drain.end().then(async () => {
      plane.configuration.close();
      plane.core.deadlines.stop();
      await Promise.race([plane.core.logs.close(), sleep(plane.core.clock, LOG_CLOSE_MS)]);
      this.#send(plane.reporter.report(), this.onEnd);
    });
  }
}

/** Null when it went well. */
async function refusalOf(work: () => Promise<void>): Promise<Refusal | null> {
  try {
    await work();
    return null;
  } catch (error) {
    if (isWeirError(error))
      return { code: error.code, message: error.message, isTransient: error.retry === "yes" };
    return { code: INTERNAL, message: messageOf(error), isTransient: false };
  }
}
