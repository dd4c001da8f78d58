// Ends one process the way a kubelet does: preStop hook, SIGTERM to the command, SIGKILL to the whole group when the grace is over.
import { type Clock, sleep } from "../../lib/clock.ts";
import { runHook } from "./hook.ts";
import type { ProbeAction } from "./podspec.ts";
import type { ProbeTarget } from "./probe.ts";
import type { ContainerProcess } from "./process.ts";

export interface Termination {
  readonly clock: Clock;
  readonly process: ContainerProcess;
  /** 0: kill at once, without the hook. */
  readonly graceMs: number;
  readonly preStop: ProbeAction | undefined;
  readonly target: ProbeTarget;
  /** The hook failed; the end goes on all the same. */
  readonly onHookFailed: (message: string) => void;
}

/** What a container gets after a preStop hook that used up its time. */
const MIN_TERM_MS = 2_000;

/** Resolves when the process has ended. */
export async function terminateProcess(end: Termination): Promise<void> {
  const { clock, process, graceMs, preStop } = end;
  const deadlineMs = clock.nowMs() + graceMs;
  if (graceMs > 0) {
    if (preStop !== undefined) {
      const outcome = await runHook(clock, preStop, end.target, graceMs, process.exited);
      if (outcome?.ok === false) end.onHookFailed(`PreStopHook failed: ${outcome.message}`);
    }
    await process.signal("SIGTERM");
    const leastMs = preStop === undefined ? 0 : MIN_TERM_MS;
    const over = new AbortController();
    await Promise.race([
      process.exited,
      sleep(clock, Math.max(deadlineMs - clock.nowMs(), leastMs), over.signal),
    ]);
    over.abort();
  }
  await process.kill();
  await process.exited;
}
