// The load generator as a process of its own (deploy/examples/quickstart/load.ts), and what it prints, read strictly.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { z } from "zod";

const LINE_TIMEOUT_MS = 10_000;

const summarySchema = z.object({
  sinceMs: z.number(),
  untilMs: z.number(),
  sent: z.number(),
  answers: z.number(),
  /** Requests without an answer. */
  failed: z.number(),
  retried: z.number(),
  skipped: z.number(),
  versions: z.record(
    z.string(),
    z.object({
      statuses: z.record(z.string(), z.number()),
      firstMs: z.number(),
      lastMs: z.number(),
      firstErrorMs: z.number().optional(),
    }),
  ),
  latencyMs: z.object({ p50: z.number().nullable(), p99: z.number().nullable() }),
});
/** Counts of a second, a phase or the whole time. */
export type LoadSummary = Readonly<z.output<typeof summarySchema>>;

const secondLine = z.object({ second: summarySchema });
const phaseLine = summarySchema.extend({ phase: z.string() });

export interface Load {
  /** Ends the present phase and begins one of this name; resolves with the sums of the one that ended. */
  mark(name: string): Promise<LoadSummary>;
  /** Ends the generator and waits for it. Idempotent. */
  stop(): Promise<void>;
}

export interface LoadOptions {
  /** Program and arguments. */
  readonly command: readonly string[];
  readonly onSecond: (summary: LoadSummary) => void;
  /** It ended although nobody asked it to. */
  readonly onEnd: (code: number | null) => void;
}

/** Starts it. */
export function startLoad({ command, onSecond, onEnd }: LoadOptions): Load {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  const waiting: ((summary: LoadSummary) => void)[] = [];
  let isStopping = false;
  const exited = new Promise<void>((resolve) => {
    const over = (code: number | null): void => {
      if (!isStopping) onEnd(code);
      resolve();
    };
    child.once("exit", over);
    child.once("error", () => over(null));
  });
  createInterface({ input: child.stdout }).on("line", (line) => {
    const value: unknown = JSON.parse(line);
    const second = secondLine.safeParse(value);
    if (second.success) return onSecond(second.data.second);
    const phase = phaseLine.safeParse(value);
    if (phase.success) waiting.shift()?.(phase.data);
  });
  return {
    mark(name) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error("the load generator does not answer")),
          LINE_TIMEOUT_MS,
        );
        waiting.push((summary) => {
          clearTimeout(timer);
          resolve(summary);
        });
        child.stdin.write(`mark ${name}\n`);
      });
    },
    async stop() {
      isStopping = true;
      child.kill("SIGTERM");
      await exited;
    },
  };
}

/** Answers of a version, and how many of them were of status 5xx. */
export function countsOf(
  summary: LoadSummary,
  version: string,
): { readonly requests: number; readonly errors: number } {
  let requests = 0;
  let errors = 0;
  for (const [status, count] of Object.entries(summary.versions[version]?.statuses ?? {})) {
    requests += count;
    if (status.startsWith("5")) errors += count;
  }
  return { requests, errors };
}
