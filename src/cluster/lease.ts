// Leadership by a Lease, as client-go does it: one candidate holds the Lease and renews it, the others try in turn. A leader that
// cannot renew stops leading renewMs after its last success, earlier than any other may take over (leaseMs).
//
//   waiting --acquired--> leading --lost, or not renewed for renewMs--> waiting
import type { KubeObject } from "../api/api.ts";
import { RESOURCES } from "../api/api.ts";
import { backoffMs } from "../lib/backoff.ts";
import { type Clock, sleep, type Timer } from "../lib/clock.ts";
import { isWeirError, messageOf } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import type { Logger } from "../lib/log.ts";
import type { ClusterClient } from "./client.ts";
import { CLUSTER_ERRORS } from "./errors.ts";

export interface LeaderElectionOptions {
  readonly client: ClusterClient;
  readonly clock: Clock;
  readonly log: Logger;
  /** Name of the Lease. */
  readonly name: string;
  readonly namespace: string;
  /** Of this process; must be unlike every other candidate's. */
  readonly identity: string;
  /** How long others wait after the last renewal that they saw. Default 15 000. */
  readonly leaseMs?: number;
  /** How long a leader tries to renew before it gives up. Must be below leaseMs. Default 10 000. */
  readonly renewMs?: number;
  /** Between tries, of leaders and candidates. Default 2 000. */
  readonly retryMs?: number;
  /** For the jitter of candidates' tries. Default `Math.random`. */
  readonly random?: () => number;
  /**
   * Leadership begins; `signal` aborts when it ends. The Lease is released only after what this returns has ended (or renewMs
   * have passed): nobody leads while this leader still works. After a rejection the Lease is released for others to try, and this process
   * tries again after a pause that grows.
   */
  readonly onStarted: (signal: AbortSignal) => void | Promise<void>;
  /** Leadership ended; called once per onStarted, after its signal aborted. */
  readonly onStopped: () => void;
}

export interface LeaderElection {
  /** Begins to try; a second call does nothing. */
  start(): void;
  /** Ends leadership if held, releases the Lease so that another need not wait, and stops trying. Idempotent. */
  stop(): Promise<void>;
  isLeader(): boolean;
  /** Identity in the Lease as last seen; undefined before the first look and when nobody holds it. */
  holder(): string | undefined;
}

const LEASE_MS = 15_000;
const RENEW_MS = 10_000;
const RETRY_MS = 2_000;
/** client-go's JitterFactor: candidates that started together do not stay together. */
const JITTER = 1.2;
/** After a term in which onStarted failed; longer than another candidate's next try takes. */
const REST = { baseMs: 5_000, maxMs: 60_000 } as const;

/** What is in the Lease, and when this process first saw it so: other machines' clocks are not trusted. */
interface Seen {
  readonly lease: KubeObject;
  readonly atMs: number;
}

/** Builds a candidate. Throws a RangeError unless leaseMs > renewMs > retryMs. */
export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  return new Candidate(options);
}

class Candidate implements LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #leaseMs: number;
  readonly #renewMs: number;
  readonly #retryMs: number;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #seen: Seen | undefined;
  #term: Term | undefined;
  #running: Promise<void> | undefined;
  #stopped: Promise<void> | undefined;
  /** Terms in a row whose onStarted failed. */
  #failures = 0;
  #mustRest = false;
  /** What onStarted of the newest term returned. */
  #working: Promise<void> = Promise.resolve();

  constructor(options: LeaderElectionOptions) {
    const { leaseMs = LEASE_MS, renewMs = RENEW_MS, retryMs = RETRY_MS } = options;
    if (renewMs >= leaseMs || retryMs >= renewMs)
      throw new RangeError(
        `a lease needs leaseMs > renewMs > retryMs, not ${leaseMs}, ${renewMs}, ${retryMs}`,
      );
    this.#options = options;
    this.#leaseMs = leaseMs;
    this.#renewMs = renewMs;
    this.#retryMs = retryMs;
    const { namespace, name, identity } = options;
    this.#log = options.log.child({ lease: `${namespace}/${name}`, identity });
  }

  start(): void {
    this.#running ??= this.#run();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#shutDown();
    return this.#stopped;
  }

  isLeader(): boolean {
    return this.#term !== undefined;
  }

  holder(): string | undefined {
    return holderOf(this.#seen?.lease);
  }

  async #shutDown(): Promise<void> {
    this.#stopping.abort();
    this.#endTerm("stopping");
    await this.#running;
    if (this.holder() === this.#options.identity) await this.#release();
  }

  async #run(): Promise<void> {
    const { clock, identity } = this.#options;
    const random = this.#options.random ?? Math.random;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      if (this.#mustRest) await this.#rest();
      if (signal.aborted) return;
      const askedMs = clock.nowMs();
      const isHeld = await this.#attempt();
      if (signal.aborted) return;
      if (isHeld && clock.nowMs() < askedMs + this.#renewMs) this.#continueTerm(askedMs);
      else if (this.holder() !== identity) this.#endTerm("another holds the lease");
      const jitter = this.#term === undefined ? 1 + (JITTER - 1) * random() : 1;
      await sleep(clock, this.#retryMs * jitter, signal);
    }
  }

  /** Lets others try to lead. */
  async #rest(): Promise<void> {
    this.#mustRest = false;
    if (this.holder() === this.#options.identity) await this.#release();
    await sleep(this.#options.clock, backoffMs(this.#failures - 1, REST), this.#stopping.signal);
  }

  /** Tries once to get or renew the Lease; true when this process holds it afterwards. */
  async #attempt(): Promise<boolean> {
    const limit = new AbortController();
    // A try that hangs leaves time for another within the term, and does not hold up stop().
    const timer = this.#options.clock.after(this.#renewMs / 2, () => limit.abort());
    const onStop = (): void => limit.abort();
    this.#stopping.signal.addEventListener("abort", onStop, { once: true });
    try {
      return await this.#acquire(limit.signal);
    } catch (error) {
      const isRace =
        isWeirError(error, CLUSTER_ERRORS.conflict) || isWeirError(error, CLUSTER_ERRORS.alreadyExists);
      if (!isRace && !this.#stopping.signal.aborted)
        this.#log.warn("cannot read or write the lease", { error: messageOf(error) });
      return false;
    } finally {
      timer.cancel();
      this.#stopping.signal.removeEventListener("abort", onStop);
    }
  }

  /** One look at the Lease and at most one write. Throws what the API says. */
  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { client, clock, namespace, name, identity } = this.#options;
    const found = await client.get(RESOURCES.lease, { namespace, name }, signal);
    const claim = { identity, leaseMs: this.#leaseMs, nowMs: clock.nowMs() };
    if (found === undefined) {
      this.#note(await client.create(RESOURCES.lease, newLease({ namespace, name, ...claim }), signal));
      return true;
    }
    const seen = this.#note(found);
    const holder = holderOf(found);
    const isOwn = holder === identity;
    const isRunning = claim.nowMs < seen.atMs + leaseMsOf(found, this.#leaseMs);
    if (holder !== undefined && !isOwn && isRunning) return false;
    this.#note(await client.update(RESOURCES.lease, takenLease(found, { ...claim, isOwn }), { signal }));
    return true;
  }

  #note(lease: KubeObject): Seen {
    const { clock, identity } = this.#options;
    const before = this.#seen;
    if (before !== undefined && before.lease.metadata.resourceVersion === lease.metadata.resourceVersion)
      return before;
    this.#seen = { lease, atMs: clock.nowMs() };
    const leader = holderOf(lease);
    if (leader !== holderOf(before?.lease) && leader !== identity)
      this.#log.info("leader changed", { leader: leader ?? "none" });
    return this.#seen;
  }

  /** Begins a term, or carries the one that runs on. */
  #continueTerm(sinceMs: number): void {
    const { clock } = this.#options;
    // Counts from when the renewal was asked for, not from its answer: the others' wait began no earlier.
    const restMs = Math.max(0, sinceMs + this.#renewMs - clock.nowMs());
    const deadline = clock.after(restMs, () => this.#endTerm(`not renewed for ${this.#renewMs} ms`));
    if (this.#term !== undefined) {
      this.#term.deadline.cancel();
      this.#term = { ...this.#term, deadline };
      return;
    }
    const abort = new AbortController();
    this.#term = { abort, deadline };
    this.#log.info("started leading");
    this.#working = (async () => this.#options.onStarted(abort.signal))().catch((error: unknown) => {
      this.#log.error("leading failed", { error: messageOf(error) });
      if (abort.signal.aborted) return;
      this.#failures += 1;
      this.#mustRest = true;
      this.#endTerm("leading failed");
    });
  }

  #endTerm(why: string): void {
    if (this.#term === undefined) return;
    const { abort, deadline } = this.#term;
    this.#term = undefined;
    deadline.cancel();
    abort.abort();
    if (!this.#mustRest) this.#failures = 0;
    this.#log.info("stopped leading", { why });
    this.#options.onStopped();
  }

  async #release(): Promise<void> {
    const { client, clock, namespace, name, identity } = this.#options;
    const limit = new AbortController();
    const timer = clock.after(this.#renewMs, () => limit.abort());
    try {
      await Promise.race([this.#working, sleep(clock, this.#renewMs, limit.signal)]);
      // Read again: a renewal that was cut off by stop() may have arrived.
      const found = await client.get(RESOURCES.lease, { namespace, name }, limit.signal);
      if (found === undefined || holderOf(found) !== identity) return;
      await client.update(RESOURCES.lease, releasedLease(found, clock.nowMs()), { signal: limit.signal });
    } catch (error) {
      this.#log.warn("cannot release the lease: others wait until it expires", { error: messageOf(error) });
    } finally {
      timer.cancel();
    }
  }
}

interface Term {
  readonly abort: AbortController;
  /** Ends the term when it is not renewed in time. */
  readonly deadline: Timer;
}

/** RFC 3339 with microseconds, as Kubernetes' MicroTime. */
export function microTime(atMs: number): string {
  return new Date(atMs).toISOString().replace("Z", "000Z");
}

interface Claim {
  readonly identity: string;
  readonly leaseMs: number;
  readonly nowMs: number;
}

function newLease(claim: Claim & { readonly namespace: string; readonly name: string }): KubeObject {
  const { namespace, name, identity, leaseMs, nowMs } = claim;
  return {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { namespace, name },
    spec: {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(leaseMs / 1000),
      acquireTime: microTime(nowMs),
      renewTime: microTime(nowMs),
      leaseTransitions: 0,
    },
  };
}

function takenLease(lease: KubeObject, claim: Claim & { readonly isOwn: boolean }): KubeObject {
  const spec = specOf(lease);
  const transitions = typeof spec.leaseTransitions === "number" ? spec.leaseTransitions : 0;
  return {
    ...lease,
    spec: {
      ...spec,
      holderIdentity: claim.identity,
      leaseDurationSeconds: Math.ceil(claim.leaseMs / 1000),
      acquireTime: claim.isOwn ? spec.acquireTime : microTime(claim.nowMs),
      renewTime: microTime(claim.nowMs),
      leaseTransitions: claim.isOwn ? transitions : transitions + 1,
    },
  };
}

/** client-go releases the same way: nobody holds it, for one second. */
function releasedLease(lease: KubeObject, nowMs: number): KubeObject {
  const spec = specOf(lease);
  const times = { acquireTime: microTime(nowMs), renewTime: microTime(nowMs) };
  return { ...lease, spec: { ...spec, ...times, holderIdentity: "", leaseDurationSeconds: 1 } };
}

function holderOf(lease: KubeObject | undefined): string | undefined {
  const holder = lease === undefined ? undefined : specOf(lease).holderIdentity;
  return typeof holder === "string" && holder !== "" ? holder : undefined;
}

function leaseMsOf(lease: KubeObject, defaultMs: number): number {
  const seconds = specOf(lease).leaseDurationSeconds;
  return typeof seconds === "number" && seconds > 0 ? seconds * 1000 : defaultMs;
}

function specOf(lease: KubeObject): Readonly<Record<string, unknown>> {
  return isObject(lease.spec) ? lease.spec : {};
}
