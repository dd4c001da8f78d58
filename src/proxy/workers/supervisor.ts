// The supervisor of `weir proxy --workers N`: it holds the listening sockets (node:cluster opens them here and shares them, so that a worker that
// dies loses only what it had accepted), follows the control plane, checks endpoints and looks up their names, sums up counts, and replaces
// workers that die or are silent. It accepts no connection itself.
import cluster from "node:cluster";
import { backoffMs } from "../../lib/backoff.ts";
import { sleep } from "../../lib/clock.ts";
import { WeirError } from "../../lib/errors.ts";
import type { XdsUpdate } from "../../xds/client.ts";
import { BootstrapSchema, toBinary } from "../../xds/types.ts";
import { TALLIES } from "../observe/tallies.ts";
import type { Seat } from "../seat.ts";
import { type Outcome, WorkerLink } from "./link.ts";
import type { Order, Refusal } from "./messages.ts";
import { Numbering } from "./resources.ts";
import type { Tree, Trunk } from "./tree.ts";

/** Between two looks at every worker; also how old counts may be. */
const LOOK_MS = 500;
/** How long a scrape waits for the newest counts. */
const REFRESH_MS = 500;
/** Before a worker is replaced that has not lived for STEADY_MS; one that has is replaced at once. */
const RESPAWN = { baseMs: 100, maxMs: 5_000 };
const STEADY_MS = 10_000;
/** From the end of the drain's time to the end of workers that are still there. */
const END_MS = 2_000;
/** Code of a configuration that no worker could take because none was there. */
export const NO_WORKER = "WEIR_ERR_PROXY_NO_WORKER";

/** See the head of this file. */
export class Supervisor implements Tree {
  readonly seat: Seat;
  readonly #count: number;
  readonly #links: (WorkerLink | undefined)[] = [];
  readonly #deaths: number[] = [];
  readonly #numbering = new Numbering();
  #trunk: Trunk | undefined;
  #start: Extract<Order, { kind: "start" }> | undefined;
  #inForce: XdsUpdate | undefined;
  #isEnding = false;
  /** When the ports close, in steady time; a worker that begins from now on drains at once, and until then. Undefined: there is no drain. */
  #closeAtMs: number | undefined;
  /** What is done one after another: changes of what is in force. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(count: number) {
    this.#count = count;
    this.seat = {
      isServing: false,
      isChecking: true,
      share: { index: 0, count: 1 },
      onChecked: (name, endpoint, isFailed) =>
        this.#tellAll({ kind: "checked", results: [{ cluster: name, endpoint, isFailed }] }),
      onEjected: () => undefined,
      onTakenBack: (name, endpoint) => this.#tellAll({ kind: "back", cluster: name, endpoint }),
      onRenewed: (name, names) => this.#tellAll({ kind: "found", cluster: name, names }),
    };
  }

  async start(trunk: Trunk): Promise<void> {
    this.#trunk = trunk;
    const { staticResources, limits, isDynamic } = trunk;
    const bootstrap = toBinary(BootstrapSchema, staticResources);
    this.#start = { kind: "start", bootstrap, limits, isDynamic, index: 0, count: this.#count, names: [] };
    cluster.schedulingPolicy = cluster.SCHED_NONE;
    cluster.setupPrimary({ serialization: "advanced" });
    this.#lookLater();
    const outcomes = await Promise.all(Array.from({ length: this.#count }, (_, index) => this.#spawn(index)));
    const refused = outcomes.find((outcome) => outcome.kind === "refused");
    if (refused !== undefined) {
      this.close();
      throw errorOf(refused.refusal);
    }
  }

  get unready(): string {
    return this.#serving().length > 0 ? "" : "no worker serves";
  }

  configure(update: XdsUpdate): Promise<void> {
    return this.#inTurn(async () => {
      const outcomes = await Promise.all(
        this.#serving().map(async (link) => ({ link, outcome: await link.configure(update) })),
      );
      const taken = outcomes.flatMap(({ link, outcome }) => (outcome.kind === "ok" ? [link] : []));
      const refusal = outcomes.map(({ outcome }) => (outcome.kind === "refused" ? outcome.refusal : null));
      const first = refusal.find((one) => one !== null);
      if (first != null) {
        // What not all have taken, none shall have.
        for (const { link } of outcomes) this.#tellNames(link);
        await Promise.all(taken.map((link) => this.#bringBack(link)));
        throw errorOf(first);
      }
      if (taken.length === 0 && !this.#isClosed)
        throw new WeirError({
          code: NO_WORKER,
          retry: "yes",
          message: "no worker serves: the configuration can be tried again when one does",
        });
      this.#inForce = update;
    });
  }

  async refresh(): Promise<void> {
    const clock = this.#trunk?.core.clock;
    if (clock === undefined) return;
    const counted = Promise.all(this.#serving().map((link) => link.count()));
    const enough = new AbortController();
    await Promise.race([counted, sleep(clock, REFRESH_MS, enough.signal)]);
    enough.abort();
  }

  reopenLogs(): void {
    this.#tellAll({ kind: "reopen" });
  }

  async drain(isEnd: boolean): Promise<void> {
    if (this.#trunk === undefined) {
      // Before there are workers: those to come close at once.
      this.#closeAtMs = 0;
      return;
    }
    const { clock, limits } = this.#trunk.core;
    this.#closeAtMs ??= clock.steadyMs() + limits.drainDelayMs;
    this.#tellAll({ kind: "drain", closeInMs: this.#closeInMs, isEnd });
    if (!isEnd) return;
    this.#isEnding = true;
    const ended = Promise.all(this.#links.flatMap((link) => link?.ended ?? []));
    const enough = new AbortController();
    const late = sleep(clock, limits.drainDelayMs + limits.drainMs + END_MS, enough.signal);
    await Promise.race([ended, late]);
    enough.abort();
  }

  hurry(): void {
    this.#tellAll({ kind: "hurry" });
  }

  close(): void {
    this.#isEnding = true;
    for (const link of this.#links) link?.end();
  }

  /** Whether nothing listens any more: there is no work left for a new worker, which would open the ports again. */
  get #isClosed(): boolean {
    return this.#trunk?.core.isDraining === true;
  }

  get #closeInMs(): number {
    return Math.max(0, (this.#closeAtMs ?? 0) - this.#trunkOf().core.clock.steadyMs());
  }

  #serving(): readonly WorkerLink[] {
    return this.#links.flatMap((link) => (link?.isServing ? [link] : []));
  }

  #tellAll(order: Order): void {
    for (const link of this.#links) link?.tell(order);
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work);
    this.#turn = done.catch(() => undefined);
    return done;
  }

  /** Starts a worker and brings in force in it what is in the others. */
  async #spawn(index: number): Promise<Outcome> {
    const { core } = this.#trunkOf();
    const link = new WorkerLink({
      core,
      index,
      numbering: this.#numbering,
      onEjected: (from, { cluster: name, endpoint, forMs }) => this.#onEjected(from, name, endpoint, forMs),
      onReport: () => this.#sumListeners(),
    });
    this.#links[index] = link;
    void link.ended.then(() => this.#replace(link));
    const { names } = this.#trunkOf().configuration;
    const outcome = await link.start({ ...this.#startOrder(), index, names });
    return outcome.kind === "ok" ? this.#inTurn(() => this.#bringUp(link)) : outcome;
  }

  async #bringUp(link: WorkerLink): Promise<Outcome> {
    this.#tellNames(link);
    // First: what it has accepted it serves, but it opens no port that the others have closed.
    if (this.#closeAtMs !== undefined) link.tell({ kind: "drain", closeInMs: this.#closeInMs, isEnd: false });
    if (this.#inForce !== undefined) {
      const outcome = await link.configure(this.#inForce);
      if (outcome.kind !== "ok") {
        link.kill(outcome.kind === "refused" ? outcome.refusal.message : "it ended");
        return { kind: "gone" };
      }
    }
    this.#tellHealth(link);
    link.isServing = !link.isGone;
    return { kind: "ok" };
  }

  async #bringBack(link: WorkerLink): Promise<void> {
    const outcome = this.#inForce && (await link.configure(this.#inForce));
    if (outcome?.kind !== "ok") link.kill("it cannot go back to what is in force");
  }

  /** What the names lead to that are in force. */
  #tellNames(link: WorkerLink): void {
    for (const found of this.#trunkOf().configuration.names) link.tell({ kind: "found", ...found });
  }

  /** What checks and other workers have found out so far. */
  #tellHealth(link: WorkerLink): void {
    const results: { readonly cluster: string; readonly endpoint: string; readonly isFailed: boolean }[] = [];
    const { clock, clusters } = this.#trunkOf().core;
    const nowMs = clock.steadyMs();
    for (const { name, endpoints } of clusters.values())
      for (const { key, isCheckFailed, isEjected, record } of endpoints) {
        if (!isCheckFailed) results.push({ cluster: name, endpoint: key, isFailed: false });
        if (isEjected && record !== null)
          link.tell({ kind: "ejected", cluster: name, endpoint: key, forMs: record.ejectedUntilMs - nowMs });
      }
    link.tell({ kind: "checked", results });
  }

  #onEjected(from: WorkerLink, name: string, endpoint: string, forMs: number): void {
    const found = this.#trunkOf().core.clusters.get(name);
    const own = found?.endpoints.find(({ key }) => key === endpoint);
    if (own !== undefined) found?.detector?.adopt(own, forMs);
    for (const link of this.#links)
      if (link !== from) link?.tell({ kind: "ejected", cluster: name, endpoint, forMs });
  }

  #sumListeners(): void {
    const rows = this.#serving().flatMap(({ ledger }) => ledger.listeners);
    for (const listener of this.#trunkOf().configuration.listeners) {
      const own = rows.filter(({ name }) => name === listener.name);
      listener.told = {
        port: own.find(({ port }) => port !== 0)?.port ?? 0,
        connections: own.reduce((sum, { connections }) => sum + connections, 0),
      };
    }
  }

  #replace(link: WorkerLink): void {
    if (this.#isEnding) return;
    const { clock, log, tallies } = this.#trunkOf().core;
    const { index } = link;
    tallies.add(tallies.place(TALLIES.workersEnded, link.isGivenUp ? "given up" : "died"), 1);
    if (this.#isClosed) {
      log.warn("worker ended, and no other one takes its place: the ports are closed", { worker: index });
      return;
    }
    const lifeMs = clock.steadyMs() - link.startedAtMs;
    const deaths = lifeMs >= STEADY_MS ? 0 : (this.#deaths[index] ?? 0) + 1;
    this.#deaths[index] = deaths;
    const delayMs = deaths === 0 ? 0 : backoffMs(deaths - 1, { ...RESPAWN, random: Math.random });
    log.warn("worker ended, another one takes its place", { worker: index, pid: link.pid, inMs: delayMs });
    clock.after(delayMs, () => {
      if (!this.#isEnding && !this.#isClosed)
        void this.#spawn(index).then((outcome) => this.#judge(index, outcome));
    });
  }

  /** A replacement that cannot even take the static resources ends, and is replaced in turn. */
  #judge(index: number, outcome: Outcome): void {
    if (outcome.kind === "refused") this.#links[index]?.kill(outcome.refusal.message);
  }

  #lookLater(): void {
    this.#trunkOf().core.clock.after(LOOK_MS, () => {
      if (this.#isEnding && this.#links.every((link) => link?.isGone)) return;
      for (const link of this.#links) link?.look();
      this.#lookLater();
    });
  }

  #trunkOf(): Trunk {
    if (this.#trunk === undefined) throw new Error("the supervisor has not been started");
    return this.#trunk;
  }

  #startOrder(): Extract<Order, { kind: "start" }> {
    if (this.#start === undefined) throw new Error("the supervisor has not been started");
    return this.#start;
  }
}

function errorOf({ code, message, isTransient }: Refusal): WeirError {
  return new WeirError({ code, message, source: "user", retry: isTransient ? "yes" : "no" });
}
