// Calls the step plugins that plans ask for, beside the passes: a call never holds one up. What it brings is kept until the plans no longer ask
// for it, which is when a status tells it. A call that is lost with its process is asked for again, under the same id.
import { type KubeObject, WEIR_WEBHOOK_STEP } from "../api/api.ts";
import type { PluginAnswer, PluginCall, PluginOutcome, PluginsSnapshot } from "../engine/decide.ts";
import type { Clock } from "../lib/clock.ts";
import { messageOf } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import { callWebhook, type StepSubject } from "./webhookstep.ts";

/** Calls at the same time, of all Rollouts; others wait for their turn. */
const MAX_CALLS = 32;
/** The longest that any plugin may take for one call. */
const CALL_TIMEOUT_MS = 65_000;

/** One plugin: `disabled` makes its steps count as done. */
export type StepPlugin =
  | "disabled"
  | ((call: PluginCall, subject: StepSubject, signal: AbortSignal) => Promise<PluginAnswer>);

/** By the name that steps have. */
export type StepPluginTable = Readonly<Record<string, StepPlugin>>;

export const STEP_PLUGINS: StepPluginTable = { [WEIR_WEBHOOK_STEP]: callWebhook };

export interface StepPlugins {
  /** What decisions about the Rollout under `key` may know. */
  snapshot(key: string): PluginsSnapshot;
  /** Begins the calls that have not begun, ends and forgets those that are no longer asked for. */
  carryOut(key: string, rollout: KubeObject, calls: readonly PluginCall[]): void;
  forget(key: string): void;
  /** Ends all calls and waits for them. */
  stop(): Promise<void>;
}

interface Pending {
  readonly call: PluginCall;
  readonly subject: StepSubject;
  readonly ending: AbortController;
  outcome: PluginOutcome | undefined;
}

/** Makes the caller. `wake` is called with the key of a Rollout whose answer has come. */
export function createStepPlugins(deps: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly wake: (key: string) => void;
  readonly table?: StepPluginTable;
}): StepPlugins {
  const { clock, log, wake, table = STEP_PLUGINS } = deps;
  const byKey = new Map<string, Map<string, Pending>>();
  const turns: (() => void)[] = [];
  const ended = new Set<Promise<void>>();
  let free = MAX_CALLS;

  const turn = async (): Promise<void> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((resolve) => turns.push(resolve));
  };
  const passOn = (): void => {
    const next = turns.shift();
    if (next === undefined) free += 1;
    else next();
  };
  const make = async (key: string, pending: Pending): Promise<void> => {
    const { call, subject, ending } = pending;
    await turn();
    try {
      if (ending.signal.aborted) return;
      const startedAtMs = clock.nowMs();
      const answer = await ask(table, call, subject, ending.signal);
      if (ending.signal.aborted) return;
      pending.outcome = { call, startedAtMs, endedAtMs: clock.nowMs(), answer };
      const said = answer.kind === "error" ? answer.message : answer.phase;
      log.info("step plugin answered", { rollout: key, plugin: call.name, operation: call.operation, said });
      wake(key);
    } finally {
      passOn();
    }
  };
  const begin = (key: string, rollout: KubeObject, call: PluginCall): Pending => {
    const ending = new AbortController();
    const pending: Pending = { call, subject: subjectOf(rollout), ending, outcome: undefined };
    const running = make(key, pending).finally(() => ended.delete(running));
    ended.add(running);
    return pending;
  };
  const forget = (key: string): void => {
    for (const { ending } of byKey.get(key)?.values() ?? []) ending.abort();
    byKey.delete(key);
  };
  return {
    snapshot(key) {
      const outcomes = [...(byKey.get(key)?.values() ?? [])].flatMap(({ outcome }) => outcome ?? []);
      return {
        names: Object.keys(table),
        disabled: Object.keys(table).filter((name) => table[name] === "disabled"),
        outcomes,
      };
    },
    carryOut(key, rollout, calls) {
      const known = byKey.get(key) ?? new Map<string, Pending>();
      for (const [id, { ending }] of known) {
        if (calls.some((call) => call.id === id)) continue;
        ending.abort();
        known.delete(id);
      }
      for (const call of calls) if (!known.has(call.id)) known.set(call.id, begin(key, rollout, call));
      if (known.size > 0) byKey.set(key, known);
      else byKey.delete(key);
    },
    forget,
    async stop() {
      for (const key of byKey.keys()) forget(key);
      await Promise.all(ended);
    },
  };
}

/** Never throws, and never outlives its time. */
async function ask(
  table: StepPluginTable,
  call: PluginCall,
  subject: StepSubject,
  signal: AbortSignal,
): Promise<PluginAnswer> {
  const plugin = table[call.name];
  if (plugin === undefined || plugin === "disabled")
    return { kind: "error", message: `step plugin ${call.name} cannot be called` };
  const timeout = AbortSignal.timeout(CALL_TIMEOUT_MS);
  const late = new Promise<PluginAnswer>((resolve) => {
    const end = (): void => resolve({ kind: "error", message: "the call was given up" });
    timeout.addEventListener("abort", end, { once: true });
    signal.addEventListener("abort", end, { once: true });
  });
  const asked = (async (): Promise<PluginAnswer> => {
    try {
      return await plugin(call, subject, AbortSignal.any([signal, timeout]));
    } catch (error) {
      return { kind: "error", message: messageOf(error) };
    }
  })();
  return Promise.race([asked, late]);
}

function subjectOf({ metadata }: KubeObject): StepSubject {
  const { namespace = "", name, uid = "" } = metadata;
  return { namespace, name, uid };
}
