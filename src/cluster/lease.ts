// Leadership by a Lease, as client-go does it: one candidate holds the Lease and renews it, the others try in turn. A leader that
// cannot renew stops leading renewMs after its last success, earlier than any other may take over (leaseMs).
//
//   waiting --acquired--> leading --lost, or not renewed for renewMs--> waiting
import type { KubeObject } from "../api/api.ts";
import { RESOURCES } from "../api/api.ts";
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
   * have passed): nobody leads while this leader still works. A rejection is logged.
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

/** What is in the Lease, and when this process first saw it so: other machines' clocks are not trusted. */
interface Seen {
  readonly lease: KubeObject;
  readonly atMs: number;
}

/** Builds a candidate. */
export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  const { client, clock, identity, namespace, name } = options;
  const leaseMs = options.leaseMs ?? LEASE_MS;
  const renewMs = options.renewMs ?? RENEW_MS;
  const retryMs = options.retryMs ?? RETRY_MS;
  if (renewMs >= leaseMs || retryMs >= renewMs)
    throw new RangeError(`a lease needs leaseMs > renewMs > retryMs, not ${leaseMs}, ${renewMs}, ${retryMs}`);
  const random = options.random ?? Math.random;
  const log = options.log.child({ lease: `${namespace}/${name}`, identity });
  const stopping = new AbortController();
  let seen: Seen | undefined;
  let term: Term | undefined;
  let running: Promise<void> | undefined;
  let working: Promise<void> = Promise.resolve();

  const note = (lease: KubeObject): void => {
    const isNews = seen?.lease.metadata.resourceVersion !== lease.metadata.resourceVersion;
    if (!isNews) return;
    const before = holderOf(seen?.lease);
    seen = { lease, atMs: clock.nowMs() };
    const now = holderOf(lease);
    if (now !== before && now !== identity) log.info("leader changed", { leader: now ?? "none" });
  };

  /** One look at the Lease and one write; true when this process holds it afterwards. Throws what the API says. */
  const tryAcquire = async (signal: AbortSignal): Promise<boolean> => {
    const found = await client.get(RESOURCES.lease, { namespace, name }, signal);
    const nowMs = clock.nowMs();
    if (found === undefined) {
      note(
        await client.create(RESOURCES.lease, newLease({ namespace, name, identity, leaseMs, nowMs }), signal),
      );
      return true;
    }
    note(found);
    const holder = holderOf(found);
    const isOwn = holder === identity;
    if (!isOwn && holder !== undefined && nowMs < (seen?.atMs ?? nowMs) + leaseMsOf(found, leaseMs))
      return false;
    note(
      await client.update(RESOURCES.lease, takenLease(found, { identity, leaseMs, nowMs, isOwn }), {
        signal,
      }),
    );
    return true;
  };

  const attempt = async (): Promise<boolean> => {
    const limit = new AbortController();
    // A try that hangs leaves time for another within the term, and does not hold up stop().
    const timer = clock.after(renewMs / 2, () => limit.abort());
    const onStop = (): void => limit.abort();
    stopping.signal.addEventListener("abort", onStop, { once: true });
    try {
      return await tryAcquire(limit.signal);
    } catch (error) {
      const isRace =
        isWeirError(error, CLUSTER_ERRORS.conflict) || isWeirError(error, CLUSTER_ERRORS.alreadyExists);
      if (!isRace && !stopping.signal.aborted)
        log.warn("cannot read or write the lease", { error: messageOf(error) });
      return false;
    } finally {
      timer.cancel();
      stopping.signal.removeEventListener("abort", onStop);
    }
  };

  const endTerm = (why: string): void => {
    if (term === undefined) return;
    term.deadline.cancel();
    term.abort.abort();
    term = undefined;
    log.info("stopped leading", { why });
    options.onStopped();
  };

  const beginTerm = (sinceMs: number): void => {
    const abort = new AbortController();
    term = { abort, deadline: armDeadline(sinceMs) };
    log.info("started leading");
    working = (async () => options.onStarted(abort.signal))().catch((error: unknown) =>
      log.error("leading failed", { error: messageOf(error) }),
    );
  };

  /** Counts from when the renewal was asked for, not from its answer: the others' wait began no later. */
  const armDeadline = (sinceMs: number): Timer =>
    clock.after(Math.max(0, sinceMs + renewMs - clock.nowMs()), () =>
      endTerm(`not renewed for ${renewMs} ms`),
    );

  const run = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const askedMs = clock.nowMs();
      const isHeld = await attempt();
      if (stopping.signal.aborted) break;
      const isInTime = clock.nowMs() < askedMs + renewMs;
      if (isHeld && isInTime && term === undefined) beginTerm(askedMs);
      else if (isHeld && isInTime && term !== undefined) {
        term.deadline.cancel();
        term = { ...term, deadline: armDeadline(askedMs) };
      } else if (term !== undefined && holderOf(seen?.lease) !== identity) endTerm("another holds the lease");
      await sleep(
        clock,
        term === undefined ? retryMs * (1 + (JITTER - 1) * random()) : retryMs,
        stopping.signal,
      );
    }
  };

  const release = async (): Promise<void> => {
    const limit = new AbortController();
    const timer = clock.after(renewMs, () => limit.abort());
    try {
      await Promise.race([working, sleep(clock, renewMs, limit.signal)]);
      // Read again: a renewal that was cut off by stop() may have arrived.
      const found = await client.get(RESOURCES.lease, { namespace, name }, limit.signal);
      if (found === undefined || holderOf(found) !== identity) return;
      await client.update(RESOURCES.lease, releasedLease(found, clock.nowMs()), { signal: limit.signal });
    } catch (error) {
      log.warn("cannot release the lease: others wait until it expires", { error: messageOf(error) });
    } finally {
      timer.cancel();
    }
  };

  return {
    start() {
      running ??= run();
    },
    async stop() {
      if (stopping.signal.aborted) return void (await running);
      stopping.abort();
      endTerm("stopping");
      await running;
      if (holderOf(seen?.lease) === identity) await release();
    },
    isLeader: () => term !== undefined,
    holder: () => holderOf(seen?.lease),
  };
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
