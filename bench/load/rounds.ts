// Paired rounds: every arm is measured once per round, in turn, each round beginning with another one, so that what the machine does
// meanwhile falls on all of them.
import { type Cpu, cpuOf, type Program } from "./stage.ts";
import { type Load, type LoadResult, runWrk } from "./wrk.ts";

export interface Settings {
  readonly rounds: number;
  readonly seconds: number;
}

export interface Sample extends Cpu, LoadResult {}

export interface Arm<T> {
  readonly name: string;
  readonly measure: (seconds: number) => Promise<T>;
}

/** Samples by arm, in the order of the rounds. */
export type Rounds<T> = Readonly<Record<string, readonly T[]>>;

/** Warms all arms, then takes the rounds. */
export async function takeRounds<T>(arms: readonly Arm<T>[], settings: Settings): Promise<Rounds<T>> {
  const samples: Record<string, T[]> = Object.fromEntries(arms.map(({ name }) => [name, []]));
  for (const arm of arms) await arm.measure(Math.min(2, settings.seconds));
  for (let round = 0; round < settings.rounds; round += 1) {
    const first = round % arms.length;
    for (const arm of [...arms.slice(first), ...arms.slice(0, first)])
      samples[arm.name]?.push(await arm.measure(settings.seconds));
    console.error(`  round ${round + 1} of ${settings.rounds}`);
  }
  return samples;
}

/** An arm that loads a program with wrk and tells CPU time per request. */
export function wrkArm(name: string, program: Program, load: Load): Arm<Sample> {
  return {
    name,
    async measure(seconds) {
      const before = await cpuOf(program);
      const result = await runWrk(load, seconds);
      const after = await cpuOf(program);
      return {
        ...result,
        userUs: (after.userUs - before.userUs) / result.requests,
        systemUs: (after.systemUs - before.systemUs) / result.requests,
      };
    },
  };
}

export const cpuUs = ({ userUs, systemUs }: Cpu): number => userUs + systemUs;
