// How the quick start's story ended: the figures, and whether they are those that were told. Pure.
import { renderTable } from "../narrow.ts";
import { countsOf, type LoadSummary } from "./load.ts";

/** One phase of the story with the load's sums. */
export interface PhaseSums {
  readonly name: string;
  readonly load: LoadSummary;
}

/** How long one weight of one version took until both proxies had it in force. */
export interface WeightTime {
  readonly version: string;
  readonly weight: number;
  readonly tookMs: number;
}

export interface StoryFacts {
  /** The version before, the good one, and the bad one, as they call themselves. */
  readonly versions: { readonly first: string; readonly good: string; readonly bad: string };
  /** The phases `first`, `good`, `bad` and `after`, in this order. */
  readonly phases: { readonly [Name in "first" | "good" | "bad" | "after"]: PhaseSums };
  readonly isGoodPromoted: boolean;
  readonly isBadAborted: boolean;
  readonly weightTimes: readonly WeightTime[];
  readonly tookMs: number;
}

export interface Ending {
  readonly lines: readonly string[];
  /** What was not as told; empty when all was. */
  readonly faults: readonly string[];
}

/** The summary and the verdict. */
export function endingOf(facts: StoryFacts): Ending {
  const faults = faultsOf(facts);
  const bad = facts.phases.bad.load.versions[facts.versions.bad];
  const returnMs = bad?.firstErrorMs === undefined ? undefined : bad.lastMs - bad.firstErrorMs;
  return {
    faults,
    lines: [
      `the story took ${(facts.tookMs / 1000).toFixed(1)} s`,
      "",
      ...renderTable(phaseRows(facts)),
      "",
      returnMs === undefined
        ? `version ${facts.versions.bad} gave no bad answer`
        : `from the first bad answer to the last request on ${facts.versions.bad}: ${(returnMs / 1000).toFixed(1)} s`,
      "",
      "time until both proxies had acknowledged a weight",
      ...renderTable(
        facts.weightTimes.map(({ version, weight, tookMs }) => [
          `  ${version}`,
          `${weight} %`.padStart(5),
          `${tookMs.toFixed(0)} ms`.padStart(7),
        ]),
      ),
      "",
      ...(faults.length === 0 ? ["all went as told"] : faults.map((fault) => `not as told: ${fault}`)),
    ],
  };
}

function phaseRows({ phases, versions }: StoryFacts): string[][] {
  const names = [versions.first, versions.good, versions.bad];
  const header = ["phase", "requests", "no answer", "errors", ...names];
  const rows = [phases.first, phases.good, phases.bad, phases.after].map(({ name, load }) => {
    const counts = names.map((version) => countsOf(load, version));
    const errors = counts.reduce((sum, count) => sum + count.errors, 0);
    return [name, load.sent, load.failed, errors, ...counts.map((count) => count.requests)].map(String);
  });
  return [header, ...rows];
}

function faultsOf(facts: StoryFacts): string[] {
  const { phases, versions } = facts;
  const faults: string[] = [];
  const say = (isWrong: boolean, words: string): void => {
    if (isWrong) faults.push(words);
  };
  const errorsIn = ({ load }: PhaseSums): number =>
    Object.keys(load.versions).reduce((sum, version) => sum + countsOf(load, version).errors, load.failed);
  say(!facts.isGoodPromoted, `${versions.good} was not promoted`);
  say(!facts.isBadAborted, `${versions.bad} was not aborted`);
  for (const phase of [phases.first, phases.good, phases.after]) {
    const count = errorsIn(phase);
    say(count > 0, `${count} requests failed in the phase "${phase.name}"`);
    say(phase.load.answers === 0, `no request was answered in the phase "${phase.name}"`);
  }
  say(
    phases.bad.load.failed > 0,
    `${phases.bad.load.failed} requests got no answer in the phase "${phases.bad.name}"`,
  );
  say(
    countsOf(phases.after.load, versions.bad).requests > 0,
    `${versions.bad} still answered after the abort`,
  );
  say(countsOf(phases.good.load, versions.good).requests === 0, `${versions.good} answered no request`);
  return faults;
}
