// The folders of a container's attempts, `<container>/<number>`: which there are, what an earlier agent left in them, which may go.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Found, findProcess, type ProcessDeps } from "./process.ts";

export interface Attempts {
  /** The newest attempt that was begun; -1 when there is none. */
  readonly number: number;
  readonly newest: Found;
  /** The one before. */
  readonly before: Found;
}

/** Looks at what an earlier agent left. */
export async function findAttempts(deps: ProcessDeps, dir: string): Promise<Attempts> {
  const numbers = await attemptsIn(dir);
  const last = numbers.at(-1);
  if (last === undefined) return { number: -1, newest: { kind: "never" }, before: { kind: "never" } };
  const newest = await findProcess(deps, attemptFolder(dir, last));
  // Only the folder was made: that attempt is still to be begun.
  const number = newest.kind === "never" ? last - 1 : last;
  const before = await findProcess(deps, attemptFolder(dir, number - (newest.kind === "never" ? 0 : 1)));
  return { number, newest, before };
}

/** Folder of one attempt. */
export function attemptFolder(dir: string, number: number): string {
  return join(dir, String(number));
}

/** Removes the attempts below a number, with their logs. */
export async function forgetAttempts(dir: string, below: number): Promise<void> {
  for (const number of await attemptsIn(dir))
    if (number < below) await rm(attemptFolder(dir, number), { recursive: true, force: true });
}

async function attemptsIn(dir: string): Promise<readonly number[]> {
  try {
    const names = await readdir(dir);
    return names
      .map(Number)
      .filter(Number.isInteger)
      .sort((a, b) => a - b);
  } catch {
    // Nothing was started yet.
    return [];
  }
}
