// Asks load balancers, while an update is in flight, whether the weights are really set; a pass reads the last answers. Asking is another
// program's business (`LoadBalancers`): weir ships none yet, so nothing is verified unless the embedding program brings one.
import type { Clock, Timer } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { canonicalJson } from "../lib/json.ts";
import type { Logger } from "../lib/log.ts";
import type { BalancerAnswers, LoadBalancer } from "../routers/routers.ts";

/** How often is asked again. As Argo's ROLLOUT_VERIFY_RETRY_INTERVAL. */
export const ASK_AGAIN_MS = 10_000;
/** The longest that one load balancer may take. */
const ASK_TIMEOUT_MS = 10_000;

/** The API of the cloud, as far as it is needed. */
export interface LoadBalancers {
  /** The load balancer with this DNS name, its target groups and their weights; undefined when there is none. */
  describe(dnsName: string, signal: AbortSignal): Promise<LoadBalancer | undefined>;
}

export interface BalancerWatch {
  /**
   * What the load balancers said last. Asks at once when the names or `holds` (what the router's objects say) are new, and every 10 s as long as
   * it is called with names; without names it stops asking.
   */
  answers(key: string, names: readonly string[], holds: string): BalancerAnswers;
  forget(key: string): void;
  stop(): void;
}

export interface BalancerDeps {
  readonly balancers: LoadBalancers;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called when an answer differs from the last one. */
  readonly wake: (key: string) => void;
}

interface Asked {
  readonly names: readonly string[];
  readonly signature: string;
  answers: BalancerAnswers;
  timer: Timer | undefined;
  readonly ended: AbortController;
}

/** Makes a watch over nothing. Bounded by the Rollouts that are asked about. */
export function createBalancerWatch(deps: BalancerDeps): BalancerWatch {
  const asked = new Map<string, Asked>();
  const forget = (key: string): void => {
    const entry = asked.get(key);
    entry?.ended.abort();
    entry?.timer?.cancel();
    asked.delete(key);
  };
  return {
    answers(key, names, holds) {
      const signature = canonicalJson([names, holds]);
      const known = asked.get(key);
      if (names.length === 0) forget(key);
      else if (known?.signature !== signature) {
        forget(key);
        const entry: Asked = {
          names,
          signature,
          answers: new Map(),
          timer: undefined,
          ended: new AbortController(),
        };
        asked.set(key, entry);
        void ask(deps, key, entry);
      }
      return asked.get(key)?.answers ?? new Map();
    },
    forget,
    stop() {
      for (const key of asked.keys()) forget(key);
    },
  };
}

/** Asks about all names, tells whether something is new, and sets the time of the next round. Never rejects. */
async function ask(deps: BalancerDeps, key: string, entry: Asked): Promise<void> {
  const answers = new Map<string, LoadBalancer | string>();
  for (const name of entry.names) answers.set(name, await askOne(deps, name, entry.ended.signal));
  if (entry.ended.signal.aborted) return;
  const isNew = canonicalJson([...answers]) !== canonicalJson([...entry.answers]);
  entry.answers = answers;
  entry.timer = deps.clock.after(ASK_AGAIN_MS, () => void ask(deps, key, entry));
  if (isNew) deps.wake(key);
}

async function askOne(
  { balancers, log }: BalancerDeps,
  name: string,
  ended: AbortSignal,
): Promise<LoadBalancer | string> {
  try {
    const signal = AbortSignal.any([ended, AbortSignal.timeout(ASK_TIMEOUT_MS)]);
    return (await balancers.describe(name, signal)) ?? "there is no load balancer of that name";
  } catch (error) {
    log.warn("a load balancer cannot be asked", { name, error: messageOf(error) });
    return messageOf(error);
  }
}
