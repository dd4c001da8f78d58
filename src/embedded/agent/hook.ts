// Carries out a lifecycle hook (exec, httpGet, tcpSocket, sleep) of a running container once, within a bound; it ends early with the process.
import { type Clock, sleep } from "../../lib/clock.ts";
import type { ProbeAction } from "./podspec.ts";
import { attempt, type ProbeOutcome, type ProbeTarget } from "./probe.ts";

/** Runs the hook. Undefined when `ended` came first. Never throws. */
export async function runHook(
  clock: Clock,
  hook: ProbeAction,
  target: ProbeTarget,
  timeoutMs: number,
  ended: Promise<unknown>,
): Promise<ProbeOutcome | undefined> {
  const over = new AbortController();
  const sleeping = async (seconds: number): Promise<ProbeOutcome> => {
    await sleep(clock, Math.min(seconds * 1000, timeoutMs), over.signal);
    return { ok: true };
  };
  const hooked = hook.sleep === undefined ? attempt(hook, target, timeoutMs) : sleeping(hook.sleep.seconds);
  const outcome = await Promise.race([hooked, ended.then(() => undefined)]);
  over.abort();
  return outcome;
}
