// `weir up` as a process of its own on a state folder of its own, and the other commands against it, as a user runs them.
import { type ChildProcess, spawn } from "node:child_process";
import { glob, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { INTERNAL_ERROR } from "./proxyprocess.ts";

const READY_TIMEOUT_MS = 30_000;
const COMMAND_TIMEOUT_MS = 60_000;
const LAUNCHER = "src/weir.js";
/**
 * Before a command: takes the test runner's loaders away, which it puts into every child's NODE_OPTIONS whatever the environment given.
 * `env` becomes the command itself, so its pid is the command's.
 */
export const AS_USER: readonly string[] = ["-u", "NODE_OPTIONS"];

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningUp {
  readonly stateDir: string;
  readonly kubeconfig: string;
  readonly pid: number;
  /** What it has written so far, both streams. */
  output(): string;
  /** Ends it with `signal` and waits for its end; resolves with the exit code, null after SIGKILL. */
  kill(signal: NodeJS.Signals): Promise<number | null>;
  /** Runs `weir ARGS --state …`. */
  weir(args: readonly string[], input?: string): Promise<CommandResult>;
}

/** A fresh state folder; at the end of the test everything on it is stopped and the folder removed, and no proxy on it may have caught a bug. */
export async function stateFolder(t: Test): Promise<string> {
  const stateDir = await mkdtemp(join(tmpdir(), "weir-up-"));
  t.teardown(async () => {
    const bugs = await caughtBugs(stateDir);
    await run([process.execPath, LAUNCHER, "down", "--state", stateDir]);
    await rm(stateDir, { recursive: true, force: true });
    if (bugs.length > 0) throw new Error(`internal errors of proxies: ${bugs.join("\n")}`);
  });
  return stateDir;
}

/** What the logs of the pods that there are tell of bugs that proxies caught. */
async function caughtBugs(stateDir: string): Promise<string[]> {
  const bugs: string[] = [];
  for await (const file of glob(join(stateDir, "pods/*/log*"))) {
    // A pod may go meanwhile.
    const text = await readFile(file, "utf8").catch(() => "");
    bugs.push(...text.split("\n").filter((line) => line.includes(INTERNAL_ERROR)));
  }
  return bugs;
}

/** Starts `weir up` on the folder and resolves when it says that it is ready. */
export async function startUp(stateDir: string, args: readonly string[] = []): Promise<RunningUp> {
  const child = spawn("env", [...AS_USER, process.execPath, LAUNCHER, "up", "--state", stateDir, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const ready = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`weir up was not ready in time:\n${output}`)),
      READY_TIMEOUT_MS,
    );
    const hear = (chunk: Buffer): void => {
      output += chunk.toString();
      if (!/^ready\./m.test(output)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    void exited.then((code) => {
      clearTimeout(timer);
      reject(new Error(`weir up ended with ${code}:\n${output}`));
    });
  });
  await ready;
  const pid = pidOf(child);
  return {
    stateDir,
    kubeconfig: join(stateDir, "kubeconfig"),
    pid,
    output: () => output,
    async kill(signal) {
      child.kill(signal);
      return exited;
    },
    weir: (words, input) => run([process.execPath, LAUNCHER, ...words, "--state", stateDir], input),
  };
}

/** Runs a command to its end, without a shell. */
export function run(
  command: readonly string[],
  input = "",
  env: Readonly<Record<string, string>> = {},
  timeoutMs: number = COMMAND_TIMEOUT_MS,
): Promise<CommandResult> {
  const child = spawn("env", [...AS_USER, ...command], {
    env: { ...process.env, ...env },
    timeout: timeoutMs,
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  child.stdin.on("error", () => undefined); // a command that reads no input has closed it
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error("the process has no pid");
  return child.pid;
}
