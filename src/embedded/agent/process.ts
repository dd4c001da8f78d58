// Runs one attempt of one container as a local process that outlives the agent, and finds it again after the agent was killed.
// Each attempt has a folder: `intent.json` (written before the spawn, with a token that the process carries in its environment),
// `run.json` (pid and start time, written after it), `pid` (of the command itself), `exit` (its code) and `log`.
// A small /bin/sh keeps the exit code: it starts the command, waits, writes `exit`, then ends what is left of the process group.
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep } from "../../lib/clock.ts";
import { WeirError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { processTable } from "./proc.ts";

export interface ProcessSpec {
  /** Folder of the attempt; made if absent. */
  readonly dir: string;
  /** Unique for the attempt. */
  readonly token: string;
  /** Program and arguments; the program is found on the PATH of `env`. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

export interface ProcessExit {
  /** 128 + n when signal n ended the command. */
  readonly exitCode: number;
  readonly finishedAtMs: number;
}

export interface ContainerProcess {
  /** The keeper's pid, which is also the process group. */
  readonly pid: number;
  readonly startedAtMs: number;
  /** The pid of the command itself; undefined when it has ended, or does not begin within a bound. */
  commandPid(): Promise<number | undefined>;
  /** Settles once the command has ended and its code is known. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Sends a signal to the command alone, as a container runtime does. */
  signal(signal: NodeJS.Signals): Promise<void>;
  /** Ends the whole process group at once. */
  kill(): Promise<void>;
  /** Stops watching; the process goes on. Idempotent. */
  release(): void;
}

/** What an earlier agent left in an attempt's folder. */
export type Found =
  | { readonly kind: "never" }
  | { readonly kind: "running"; readonly process: ContainerProcess }
  | { readonly kind: "exited"; readonly startedAtMs: number; readonly exit: ProcessExit };

export interface ProcessDeps {
  readonly clock: Clock;
}

/** Environment variable with the attempt's token. */
export const TOKEN_VARIABLE = "WEIR_CONTAINER_TOKEN";
/** Code of a spawn that the operating system refused. */
export const SPAWN_FAILED = "WEIR_ERR_EMBEDDED_SPAWN";
/** Exit code of a process that left none: as a container runtime reports a kill. */
export const KILLED_EXIT_CODE = 137;
/** How often an adopted process, which is nobody's child, is looked at. */
const ADOPTED_POLL_MS = 250;
/** How long the command's own pid may take to appear after the spawn. */
const PID_WAIT_MS = 2_000;

// The caught signals go back to their defaults in the command; the keeper itself must outlive them to write the code.
// `$0` of the inner shell carries the folder, so that "$@" is the command and nothing else.
const KEEPER = `dir=$1; shift
trap : HUP INT QUIT TERM USR1 USR2 ALRM
/bin/sh -c 'echo "$$" >"$0/pid"; exec "$@"' "$dir" "$@"
code=$?
echo "$code" >"$dir/exit"
kill -KILL "-$$" 2>/dev/null
exit "$code"`;

/** Starts an attempt. Throws SPAWN_FAILED when the system refuses. */
export async function startProcess(deps: ProcessDeps, spec: ProcessSpec): Promise<ContainerProcess> {
  await mkdir(spec.dir, { recursive: true });
  const startedAtMs = deps.clock.nowMs();
  await writeAtomic(join(spec.dir, "intent.json"), JSON.stringify({ token: spec.token, startedAtMs }));
  const child = await spawnKeeper(spec);
  const pid = child.pid ?? 0;
  const start = await processTable().startOf(pid);
  await writeAtomic(join(spec.dir, "run.json"), JSON.stringify({ pid, start: start ?? "", startedAtMs }));
  return watchChild(deps, spec.dir, child, { pid, start: start ?? "", startedAtMs });
}

/** Finds what became of an attempt that an earlier agent began. */
export async function findProcess(deps: ProcessDeps, dir: string): Promise<Found> {
  const intent = await readJson(join(dir, "intent.json"));
  if (intent === undefined) return { kind: "never" };
  const startedAtMs = Number(intent.startedAtMs);
  const exit = await readExit(dir);
  if (exit !== undefined) return { kind: "exited", startedAtMs, exit };
  const run = await readJson(join(dir, "run.json"));
  const known = run === undefined ? await search(dir, String(intent.token), startedAtMs) : asIdentity(run);
  if (known === undefined) return { kind: "never" };
  if (await isAlive(known)) return { kind: "running", process: watchAdopted(deps, dir, known) };
  // It may have ended between the two looks; else it was killed together with its keeper (a reboot, say).
  const late = await readExit(dir);
  return {
    kind: "exited",
    startedAtMs,
    exit: late ?? { exitCode: KILLED_EXIT_CODE, finishedAtMs: deps.clock.nowMs() },
  };
}

interface Identity {
  readonly pid: number;
  readonly start: string;
  readonly startedAtMs: number;
}

/** The agent died between the spawn and its record: the token in the environment tells which process it was. */
async function search(dir: string, token: string, startedAtMs: number): Promise<Identity | undefined> {
  const table = processTable();
  const pid = await table.findLeader(`${TOKEN_VARIABLE}=${token}`);
  const start = pid === undefined ? undefined : await table.startOf(pid);
  if (pid === undefined || start === undefined) return undefined;
  await writeAtomic(join(dir, "run.json"), JSON.stringify({ pid, start, startedAtMs }));
  return { pid, start, startedAtMs };
}

function spawnKeeper(spec: ProcessSpec): Promise<ChildProcess> {
  const log = openSync(join(spec.dir, "log"), "a");
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void =>
      reject(
        new WeirError({
          code: SPAWN_FAILED,
          source: "user",
          message: `cannot start ${spec.argv[0] ?? ""} in ${spec.cwd}: ${cause.message}`,
          cause,
        }),
      );
    try {
      // An own session: a signal to the agent's terminal or group does not reach the pods.
      const child = spawn("/bin/sh", ["-c", KEEPER, "weir-container", spec.dir, ...spec.argv], {
        cwd: spec.cwd,
        env: { ...spec.env, [TOKEN_VARIABLE]: spec.token },
        stdio: ["ignore", log, log],
        detached: true,
      });
      child.once("error", fail);
      child.once("spawn", () => resolve(child));
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    } finally {
      closeSync(log);
    }
  });
}

function watchChild(
  deps: ProcessDeps,
  dir: string,
  child: ChildProcess,
  identity: Identity,
): ContainerProcess {
  const exited = new Promise<ProcessExit>((resolve) => {
    const ended = (): void => void exitOf(deps, dir).then(resolve);
    if (child.exitCode !== null || child.signalCode !== null) ended();
    else child.once("exit", ended);
  });
  // A pod must not keep an agent alive that was told to leave it.
  return handleOf(dir, identity, exited, () => child.unref());
}

function watchAdopted(deps: ProcessDeps, dir: string, identity: Identity): ContainerProcess {
  const stop = new AbortController();
  const exited = (async (): Promise<ProcessExit> => {
    while (!stop.signal.aborted && (await isAlive(identity)))
      await sleep(deps.clock, ADOPTED_POLL_MS, stop.signal);
    // A released process is somebody else's to report.
    return stop.signal.aborted ? new Promise<ProcessExit>(() => undefined) : exitOf(deps, dir);
  })();
  return handleOf(dir, identity, exited, () => stop.abort());
}

function handleOf(
  dir: string,
  identity: Identity,
  exited: Promise<ProcessExit>,
  release: () => void,
): ContainerProcess {
  return {
    pid: identity.pid,
    startedAtMs: identity.startedAtMs,
    exited,
    commandPid: () => commandPid(dir, identity),
    async signal(signal) {
      const pid = await commandPid(dir, identity);
      if (pid !== undefined && (await isAlive(identity))) send(pid, signal);
    },
    async kill() {
      if (await isAlive(identity)) send(-identity.pid, "SIGKILL");
    },
    release,
  };
}

/** The command's own pid: it writes it before it becomes the command, which may be a moment after the spawn. */
async function commandPid(dir: string, identity: Identity): Promise<number | undefined> {
  const deadlineMs = performance.now() + PID_WAIT_MS;
  for (;;) {
    const text = await readText(join(dir, "pid"));
    if (text?.endsWith("\n")) return Number(text);
    if (performance.now() > deadlineMs || !(await isAlive(identity))) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it has ended by itself meanwhile, which is what was wanted.
  }
}

async function isAlive(identity: Identity): Promise<boolean> {
  return (await processTable().startOf(identity.pid)) === identity.start;
}

async function exitOf(deps: ProcessDeps, dir: string): Promise<ProcessExit> {
  return (await readExit(dir)) ?? { exitCode: KILLED_EXIT_CODE, finishedAtMs: deps.clock.nowMs() };
}

async function readExit(dir: string): Promise<ProcessExit | undefined> {
  const file = join(dir, "exit");
  const text = await readText(file);
  if (text === undefined || !text.endsWith("\n")) return undefined;
  return { exitCode: Number(text), finishedAtMs: Math.round((await stat(file)).mtimeMs) };
}

function asIdentity(run: Readonly<Record<string, unknown>>): Identity {
  return { pid: Number(run.pid), start: String(run.start), startedAtMs: Number(run.startedAtMs) };
}

/** Replaces a file as a whole, so that a reader (or an agent started after a kill) never sees half of it. */
export async function writeAtomic(file: string, text: string): Promise<void> {
  await writeFile(`${file}.tmp`, text);
  await rename(`${file}.tmp`, file);
}

/** The object in a JSON file; undefined when the file is absent or no object. */
export async function readJson(file: string): Promise<Readonly<Record<string, unknown>> | undefined> {
  const text = await readText(file);
  if (text === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : undefined;
  } catch {
    // Written by nobody but this file, whole or not at all: a foreign or damaged file counts as absent.
    return undefined;
  }
}

async function readText(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch {
    // Absent: the step that writes it was not reached.
    return undefined;
  }
}
