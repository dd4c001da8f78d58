// A shape's result: figures with their goals, what each proxy used, and all samples. It stands in bench/results/load-<shape>.json;
// table.ts makes the tables of bench/README.md of it.
import { readFile, writeFile } from "node:fs/promises";
import { loadavg } from "node:os";
import { type MachineFacts, machineFacts } from "../lib/machine.ts";
import { type Estimate, estimate, median, pairedRatios } from "../lib/statistics.ts";
import { cpuUs, type Rounds, type Sample, type Settings } from "./rounds.ts";

export const RESULTS = "bench/results";
/** Found out before anything is written, so that the commit is not called dirty for it. */
const MACHINE = machineFacts();
/** A goal is met when the interval's upper end is at most so much above it. */
const TOLERANCE = 0.05;

export interface Figure {
  readonly name: string;
  readonly seen: Estimate;
  readonly unit: "x" | "MiB" | "MiB/min" | "us" | "s" | "";
  readonly goal?: number;
  readonly stretch?: number;
  /** What is to be known of it. */
  readonly note?: string;
}

/** What one proxy used, medians of the rounds. */
export interface Usage {
  readonly proxy: string;
  readonly cpuUs: number;
  readonly userUs: number;
  readonly systemUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly requests: number;
  readonly errors: number;
}

export interface Outcome {
  readonly figures: readonly Figure[];
  readonly usage?: readonly Usage[];
  readonly samples: unknown;
}

export interface Result extends Outcome {
  readonly shape: string;
  readonly command: string;
  readonly settings: Settings;
  readonly machine: MachineFacts;
  /** Load average over a minute, before and after. */
  readonly load: readonly [before: number, after: number];
}

/** A shape of load and what it tells. */
export interface Shape {
  readonly name: string;
  readonly about: string;
  readonly run: (settings: Settings) => Promise<Outcome>;
}

/** Runs a shape; its result is printed, and written unless the run was only a try. */
export async function perform(shape: Shape, settings: Settings, isTry: boolean): Promise<Result> {
  const [before = 0] = loadavg();
  const outcome = await shape.run(settings);
  const result: Result = {
    shape: shape.name,
    command: `npm run bench:load -- --only ${shape.name} --rounds ${settings.rounds} --seconds ${settings.seconds}`,
    settings,
    machine: MACHINE,
    load: [before, loadavg()[0] ?? 0],
    ...outcome,
  };
  if (!isTry) await writeFile(resultFile(shape.name), `${JSON.stringify(result, undefined, 1)}\n`);
  for (const figure of result.figures) console.log(`${figure.name}: ${spell(figure)}${verdict(figure)}`);
  if (result.usage !== undefined) console.table(result.usage.map(rounded));
  return result;
}

/** A stored result, if the shape was ever run. */
export async function storedResult(shape: string): Promise<Result | undefined> {
  const text = await readFile(resultFile(shape), "utf8").catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as Result); // Written above.
}

const resultFile = (shape: string): string => `${RESULTS}/load-${shape}.json`;

/** CPU per request of one arm over another's, with its goal. */
export function cpuRatio(
  rounds: Rounds<Sample>,
  [ours, theirs]: readonly [string, string],
  figure: Omit<Figure, "seen" | "unit">,
): Figure {
  const of = (name: string): number[] => (rounds[name] ?? []).map(cpuUs);
  return { ...figure, unit: "x", seen: estimate(pairedRatios(of(ours), of(theirs))) };
}

/** Medians of each arm. */
export function usageOf(rounds: Rounds<Sample>): Usage[] {
  return Object.entries(rounds).map(([proxy, samples]) => ({
    proxy,
    cpuUs: median(samples.map(cpuUs)),
    userUs: median(samples.map(({ userUs }) => userUs)),
    systemUs: median(samples.map(({ systemUs }) => systemUs)),
    p50Us: median(samples.map(({ p50Us }) => p50Us)),
    p99Us: median(samples.map(({ p99Us }) => p99Us)),
    requests: samples.reduce((sum, { requests }) => sum + requests, 0),
    errors: samples.reduce((sum, { errors }) => sum + errors, 0),
  }));
}

/** `1.08x (1.05 to 1.11)`. */
export function spell({ seen, unit }: Pick<Figure, "seen" | "unit">): string {
  const digits = unit === "x" || unit === "MiB/min" || unit === "" ? 2 : unit === "MiB" ? 0 : 1;
  const [middle, low, high] = [seen.median, seen.low, seen.high].map((value) => value.toFixed(digits));
  const word = { x: "x", MiB: " MiB", "MiB/min": " MiB/min", us: " µs", s: " s", "": "" }[unit];
  return low === high ? `${middle}${word}` : `${middle}${word} (${low} to ${high})`;
}

/** Whether the goal is met; undefined without one. */
export function isMet({ seen, goal }: Pick<Figure, "seen" | "goal">): boolean | undefined {
  return goal === undefined ? undefined : seen.high <= goal + TOLERANCE;
}

function verdict(figure: Figure): string {
  const met = isMet(figure);
  return met === undefined ? "" : `, goal ${figure.goal}: ${met ? "met" : "not met"}`;
}

function rounded(usage: Usage): Readonly<Record<string, number | string>> {
  return Object.fromEntries(
    Object.entries(usage).map(([key, value]) => [
      key,
      typeof value === "number" ? Math.round(value * 100) / 100 : value,
    ]),
  );
}
