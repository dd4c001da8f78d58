// The scenes of a microbenchmark: each is measured in a fresh process, several times; medians.
import { execFileSync } from "node:child_process";
import { machineFacts } from "./machine.ts";
import { quantile } from "./quantile.ts";

export interface Rounds {
  /** The benchmark: with `--scene NAME` and these arguments it prints one number. */
  readonly file: string;
  readonly args: readonly string[];
  readonly rounds: number;
  readonly unit: string;
  readonly digits: number;
}

/** Prints the machine, and a row for each scene: the median, the least and the most. */
export function measureScenes(names: readonly string[], { file, args, rounds, unit, digits }: Rounds): void {
  console.log(JSON.stringify(machineFacts()));
  for (const name of names) {
    const found = Array.from({ length: rounds }, () =>
      Number(execFileSync(process.execPath, [file, "--scene", name, ...args], { encoding: "utf8" })),
    ).sort((a, b) => a - b);
    const [low, mid, high] = [0, 0.5, 1].map((share) => quantile(found, share).toFixed(digits));
    console.log(`${name.padEnd(60)} ${mid?.padStart(7)} ${unit}  (${low} to ${high})`);
  }
}
