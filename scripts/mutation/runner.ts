// Runs the scenario scripts and the tests of the engine for Stryker, in its own process: each script is a test. Nothing is loaded anew between
// mutants and only the tests that reach a mutant are run for it, so that thousands of mutants take minutes. Stryker loads this file by
// `plugins` (stryker.config.json) and is itself fetched when it is needed: `npm run test:mutation`.
import { readFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { registerHooks } from "node:module";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { CollectedTest } from "./tap.ts";

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

interface Test {
  readonly id: string;
  /** Throws, or rejects, when it fails. */
  readonly run: () => unknown;
}

// The name by which instrumented code knows it.
const shared = globalThis as { __stryker__?: Namespace };
shared.__stryker__ ??= {};
const namespace = shared.__stryker__;

class EngineRunner {
  #tests: readonly Test[] | undefined;

  /** A mutant of what is computed at load needs a process of its own: Stryker then starts one. */
  capabilities(): { readonly reloadEnvironment: boolean } {
    return { reloadEnvironment: false };
  }

  /** Loads the mutated sources from the folder that Stryker made for them, once the mutant is active: it may be in a constant of a file. */
  async #loaded(): Promise<readonly Test[]> {
    this.#tests ??= [...(await scenarios()), ...(await engineTests())];
    return this.#tests;
  }

  /** All tests on the sources as they are. */
  async dryRun(): Promise<unknown> {
    const tests: unknown[] = [];
    for (const test of await this.#loaded()) {
      namespace.currentTestId = test.id;
      const startMs = performance.now();
      const failureMessage = await failureOf(test);
      const result = { id: test.id, name: test.id, timeSpentMs: performance.now() - startMs };
      tests.push(
        failureMessage === undefined ? { ...result, status: 0 } : { ...result, status: 1, failureMessage },
      );
    }
    namespace.currentTestId = undefined;
    return { status: "complete", tests, mutantCoverage: namespace.mutantCoverage };
  }

  /** The tests that reach the mutant, until one fails. */
  async mutantRun({ activeMutant, testFilter, hitLimit }: MutantRun): Promise<unknown> {
    Object.assign(namespace, { activeMutant: activeMutant.id, hitCount: hitLimit && 0, hitLimit });
    try {
      const all = await this.#loaded();
      const chosen = all.filter(({ id }) => testFilter === undefined || testFilter.includes(id));
      for (const [index, test] of chosen.entries()) {
        const failureMessage = await failureOf(test);
        if (isTooOften()) return { status: "timeout", reason: "a loop went round too often" };
        if (failureMessage !== undefined)
          return { status: "killed", killedBy: [test.id], failureMessage, nrOfTests: index + 1 };
      }
      return { status: "survived", nrOfTests: chosen.length };
    } finally {
      Object.assign(namespace, { activeMutant: undefined, hitCount: undefined, hitLimit: undefined });
    }
  }
}

async function scenarios(): Promise<readonly Test[]> {
  const files = (await Array.fromAsync(glob("test/scenarios/*.txt"))).sort();
  // What that file exports.
  const loaded = (await load("test/support/script.ts")) as { readonly runScript: (text: string) => string };
  return files.map((file) => {
    const text = readFileSync(file, "utf8");
    const run = (): void => {
      if (loaded.runScript(text) !== text) throw new Error("the script goes another way");
    };
    return { id: `scenario ${basename(file, ".txt")}`, run };
  });
}

/** The tests of test/engine, which name themselves to tap.ts in place of tap. */
async function engineTests(): Promise<readonly Test[]> {
  const tap = pathToFileURL(join(process.cwd(), "scripts/mutation/tap.ts")).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === "tap" ? { url: tap, shortCircuit: true } : next(specifier, context),
  });
  // What that file exports.
  const { collected } = (await load("scripts/mutation/tap.ts")) as {
    readonly collected: readonly CollectedTest[];
  };
  for (const file of (await Array.fromAsync(glob("test/engine/*.test.ts"))).sort()) await load(file);
  return collected.map(({ name, run }) => ({ id: name, run }));
}

async function load(file: string): Promise<unknown> {
  return import(pathToFileURL(join(process.cwd(), file)).href);
}

async function failureOf({ run }: Test): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function isTooOften(): boolean {
  const { hitCount, hitLimit } = namespace;
  return hitCount !== undefined && hitLimit !== undefined && hitCount > hitLimit;
}

export const strykerPlugins = [{ kind: "TestRunner", name: "engine", injectableClass: EngineRunner }];
