// Asks load balancers, while a decision depends on it, whether weights are really set and pods really registered; a pass reads the last answers.
// How they are asked is `LoadBalancers`: aws.ts, or whatever the embedding program brings. Without one nothing is verified.
import type { Clock, Timer } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import { canonicalJson } from "../lib/json.ts";
import type { Logger } from "../lib/log.ts";
import type { BalancerAnswers, LoadBalancer, Target, TargetAnswers } from "../routers/routers.ts";

/** How often is asked again. As Argo's ROLLOUT_VERIFY_RETRY_INTERVAL. */
export const ASK_AGAIN_MS = 10_000;
/** How often once answers have stayed the same for QUICK_ROUNDS: a pause may last for days, and AWS throttles whoever asks much. */
export const ASK_SLOWLY_MS = 60_000;
/** Rounds with the same answers that are asked quickly. */
export const QUICK_ROUNDS = 6;
/** The longest that one load balancer may take, the tries of its client included. */
const ASK_TIMEOUT_MS = 10_000;

/** The API of the cloud, as far as it is needed. */
export interface LoadBalancers {
  /** The load balancer with this DNS name, its target groups and their weights; undefined when there is none. */
  describe(dnsName: string, signal: AbortSignal): Promise<LoadBalancer | undefined>;
  /** What is registered in the target group with this ARN, healthy or not. */
  targets(targetGroup: string, signal: AbortSignal): Promise<readonly Target[]>;
}

/** What a Rollout wants to know. */
export interface Questions {
  /** DNS names of load balancers. */
  readonly names: readonly string[];
  /** ARNs of target groups. */
  readonly groups: readonly string[];
  /** What the cluster's objects say: when that changes, earlier answers are worth nothing. */
  readonly holds: string;
}

export interface Answers {
  readonly balancers: BalancerAnswers;
  readonly targets: TargetAnswers;
}

export interface BalancerWatch {
  /** What was said last. Asks at once when the questions are new, and again and again as long as there are any. */
  answers(key: string, questions: Questions): Answers;
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
  readonly questions: Questions;
  readonly signature: string;
  answers: Answers;
  /** Rounds in a row with the same answers. */
  same: number;
  timer: Timer | undefined;
  readonly ended: AbortController;
}

const NONE: Answers = { balancers: new Map(), targets: new Map() };

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
    answers(key, questions) {
      const signature = canonicalJson(questions);
      if (asked.get(key)?.signature === signature) return asked.get(key)?.answers ?? NONE;
      forget(key);
      if (questions.names.length + questions.groups.length === 0) return NONE;
      const ended = new AbortController();
      const entry: Asked = { questions, signature, answers: NONE, same: 0, timer: undefined, ended };
      asked.set(key, entry);
      void ask(deps, key, entry);
      return NONE;
    },
    forget,
    stop() {
      for (const key of asked.keys()) forget(key);
    },
  };
}

/** Asks all questions, tells whether something is new, and sets the time of the next round. Never rejects. */
async function ask(deps: BalancerDeps, key: string, entry: Asked): Promise<void> {
  const { balancers } = deps;
  const { names, groups } = entry.questions;
  const { signal } = entry.ended;
  const described = new Map<string, LoadBalancer | string | undefined>();
  const targets = new Map<string, readonly Target[] | string>();
  for (const name of names)
    described.set(name, await answerOf(deps, name, signal, (limit) => balancers.describe(name, limit)));
  for (const group of groups)
    targets.set(group, await answerOf(deps, group, signal, (limit) => balancers.targets(group, limit)));
  if (signal.aborted) return;
  const isNew =
    canonicalJson([...described, ...targets]) !==
    canonicalJson([...entry.answers.balancers, ...entry.answers.targets]);
  entry.same = isNew ? 0 : entry.same + 1;
  entry.answers = { balancers: described, targets };
  const afterMs = entry.same < QUICK_ROUNDS ? ASK_AGAIN_MS : ASK_SLOWLY_MS;
  entry.timer = deps.clock.after(afterMs, () => void ask(deps, key, entry));
  if (isNew) deps.wake(key);
}

/** The answer, or why there is none. */
async function answerOf<T>(
  { log }: BalancerDeps,
  about: string,
  ended: AbortSignal,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T | string> {
  try {
    return await call(AbortSignal.any([ended, AbortSignal.timeout(ASK_TIMEOUT_MS)]));
  } catch (error) {
    if (!ended.aborted) log.warn("a load balancer cannot be asked", { about, error: messageOf(error) });
    return messageOf(error);
  }
}
