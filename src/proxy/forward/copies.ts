// [hot] Which copies of a request are made, and when they go. Those of requests without a body let the loop look at its sockets some times more
// before they go, all together: what came in with the same look goes to the primaries first, and what those answer at once to the clients.
// (What it gained, on a busy machine, stands in bench/README.md.) A copy of a body goes along with it, else all of the body would have to be kept.

import type { Core } from "../core.ts";
import { BODY } from "../http1/body.ts";
import { COUNTER } from "../observe/stats.ts";
import { WHOLE } from "../route/table.ts";
import type { Endpoint } from "./endpoint.ts";
import { Mirror, type Original } from "./mirror.ts";
import type { Cluster } from "./pool.ts";

/** Turns of the event loop that copies wait. */
const TURNS = 8;
/** When so many wait, the turn at hand is the last. */
const ENOUGH = 16;
const ADMITTED = -1;

/** Makes the copies of a request that the dice choose; those that want its body, or null. */
export function startMirrors(core: Core, original: Original): Mirror[] | null {
  let started: Mirror[] | null = null;
  for (const rule of original.route.mirrors) {
    if (rule.share < WHOLE && core.dice.below(WHOLE) >= rule.share) continue;
    const cluster = core.clusters.get(rule.cluster);
    const endpoint = cluster?.pick() ?? null;
    if (cluster === undefined || endpoint === null) {
      core.stats.add(rule.cell, COUNTER.UNHEALTHY, 1);
      continue;
    }
    const refusal = refusalOf(core, cluster, endpoint);
    if (refusal !== ADMITTED) {
      core.stats.add(rule.cell, refusal, 1);
      continue;
    }
    const mirror = new Mirror(core, rule, original, cluster, endpoint);
    if (original.body === BODY.NONE) {
      mirror.endRequest();
      core.copies.add(mirror);
    } else {
      core.copies.go();
      mirror.start();
      started ??= [];
      started.push(mirror);
    }
  }
  return started;
}

/** Which COUNTER says why no copy can be sent there now; ADMITTED: one can. */
function refusalOf(core: Core, cluster: Cluster, endpoint: Endpoint): number {
  const isConnected = endpoint.idleCount > 0;
  if (!isConnected && endpoint.copiesFromMs > core.deadlines.nowMs) return COUNTER.UNHEALTHY;
  const { maxRequests, maxConnections } = cluster.options;
  const isFull = !isConnected && cluster.connections >= maxConnections;
  return isFull || cluster.active >= maxRequests ? COUNTER.OVERFLOW : ADMITTED;
}

/** Copies that wait for their turn. There are never more than ENOUGH and what one turn brings. */
export class Copies {
  readonly #core: Core;
  #waiting: Mirror[] = [];
  #turn = 0;
  #isArmed = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Starts `copy`, whole as it is, some turns later. */
  add(copy: Mirror): void {
    this.#waiting.push(copy);
    if (!this.#isArmed) this.#arm();
  }

  /** Starts those that wait: what comes later may not overtake them. */
  go(): void {
    const copies = this.#waiting;
    this.#turn = 0;
    if (copies.length === 0) return;
    this.#waiting = [];
    for (const copy of copies) this.#start(copy);
  }

  #arm(): void {
    this.#isArmed = true;
    setImmediate(this.#onTurn);
  }

  readonly #onTurn = (): void => {
    this.#isArmed = false;
    const { length } = this.#waiting;
    this.#turn += 1;
    if (length > 0 && length < ENOUGH && this.#turn < TURNS) {
      this.#arm();
      return;
    }
    this.go();
    this.#core.outbox.forgetKept();
  };

  #start(copy: Mirror): void {
    const core = this.#core;
    try {
      const refusal = refusalOf(core, copy.cluster, copy.endpoint);
      if (refusal === ADMITTED) copy.start();
      else copy.drop(refusal);
      core.outbox.flush();
    } catch (error) {
      copy.onInternalError(error);
      core.outbox.flush();
    }
  }
}
