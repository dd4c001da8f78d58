// Runs the scenario scripts for Stryker, in its own process: each script is a test. Nothing is loaded anew between mutants and only the
// scripts that reach a mutant are run for it, so that thousands of mutants take minutes. Stryker loads this file by `plugins`
// (stryker.config.json) and is itself fetched when it is needed: `npm run test:mutation`.
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";

/** What instrumented code counts and obeys. Source: Stryker, instrumenter constants. */
interface Namespace {
  activeMutant?: string | undefined;
  currentTestId?: string | undefined;
  hitCount?: number | undefined;
  hitLimit?: number | undefined;
  mutantCoverage?: unknown;
}

interface MutantRun {
  readonly activeMutant: { readonly id: string };
  readonly testFilter?: readonly string[];
  readonly hitLimit?: number;
}

interface Script {
  readonly id: string;
  readonly text: string;
}

// The name by which instrumented code knows it.
const shared = globalThis as { __stryker__?: Namespace };
shared.__stryker__ ??= {};
const namespace = shared.__stryker__;

class ScenarioRunner {
  #scripts: readonly Script[] = [];
  #runScript: (text: string) => string = (text) => text;

  /** A mutant of what is computed at load needs a process of its own: Stryker then starts one. */
  capabilities(): { readonly reloadEnvironment: boolean } {
    return { reloadEnvironment: false };
  }

  /** Loads the mutated sources from the folder that Stryker made for them. */
  async init(): Promise<void> {
    const files = (await Array.fromAsync(glob("test/scenarios/*.txt"))).sort();
    this.#scripts = files.map((file) => ({ id: basename(file, ".txt"), text: readFileSync(file, "utf8") }));
    const door = pathToFileURL(join(process.cwd(), "test/support/script.ts")).href;
    // What that file exports.
    const loaded = (await import(door)) as { readonly runScript: (text: string) => string };
    this.#runScript = loaded.runScript;
  }

  /** All scripts on the sources as they are. */
  async dryRun(): Promise<unknown> {
    const tests = this.#scripts.map((script) => {
      namespace.currentTestId = script.id;
      const startMs = performance.now();
      const failure = this.#failureOf(script);
      const result = { id: script.id, name: script.id, timeSpentMs: performance.now() - startMs };
      return failure === undefined
        ? { ...result, status: 0 }
        : { ...result, status: 1, failureMessage: failure };
    });
    namespace.currentTestId = undefined;
    return { status: "complete", tests, mutantCoverage: namespace.mutantCoverage };
  }

  /** The scripts that reach the mutant, until one goes another way. */
  async mutantRun({ activeMutant, testFilter, hitLimit }: MutantRun): Promise<unknown> {
    Object.assign(namespace, { activeMutant: activeMutant.id, hitCount: hitLimit && 0, hitLimit });
    const chosen = this.#scripts.filter(({ id }) => testFilter === undefined || testFilter.includes(id));
    try {
      for (const [index, script] of chosen.entries()) {
        const failure = this.#failureOf(script);
        if (isTooOften()) return { status: "timeout", reason: "a loop went round too often" };
        if (failure !== undefined)
          return {
            status: "killed",
            killedBy: [script.id],
            failureMessage: failure,
            nrOfTests: index + 1,
          };
      }
      return { status: "survived", nrOfTests: chosen.length };
    } finally {
      Object.assign(namespace, { activeMutant: undefined, hitCount: undefined, hitLimit: undefined });
    }
  }

  #failureOf({ text }: Script): string | undefined {
    try {
      return this.#runScript(text) === text ? undefined : "the script goes another way";
    } catch (error) {
      return String(error);
    }
  }
}

function isTooOften(): boolean {
  const { hitCount, hitLimit } = namespace;
  return hitCount !== undefined && hitLimit !== undefined && hitCount > hitLimit;
}

export const strykerPlugins = [{ kind: "TestRunner", name: "scenarios", injectableClass: ScenarioRunner }];
