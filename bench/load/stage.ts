// What a measurement starts and must end: programs in process groups of their own (a master that is killed would leave its workers
// behind), a folder, ports. Also what /proc tells of a program, all its processes together.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Proxies run here, alone. */
export const PROXY_CPU = "0";
/** Origins and load run here. */
export const LOAD_CPU = "1";

/** Clock ticks of /proc/PID/stat per second (USER_HZ, 100 on every Linux that Node supports). */
const TICKS_PER_SECOND = 100;
const READY_MS = 20_000;

export interface Command {
  readonly command: readonly string[];
  readonly cpu: string;
  /** It is ready when this answers, with whatever status. */
  readonly port: number;
  readonly host?: string;
  readonly path?: string;
  /** File for what it prints; else that is dropped. */
  readonly output?: string;
}

export interface Program {
  readonly name: string;
  readonly pid: number;
}

export interface Cpu {
  readonly userUs: number;
  readonly systemUs: number;
}

export class Stage {
  readonly folder: string;
  readonly #running = new Set<ChildProcess>();
  readonly #closers: (() => Promise<void> | void)[] = [];
  readonly #onExit = (): void => this.#killAll();

  private constructor(folder: string) {
    this.folder = folder;
    process.on("exit", this.#onExit);
  }

  /** Runs `play` on a stage of its own, and clears it whatever happens. */
  static async with<T>(play: (stage: Stage) => Promise<T>): Promise<T> {
    const folder = await mkdtemp(join(tmpdir(), "weir-bench-"));
    // nginx's workers are another user.
    await chmod(folder, 0o755);
    const stage = new Stage(folder);
    try {
      return await play(stage);
    } finally {
      await stage.#close();
    }
  }

  /** Starts a program on a CPU and waits until it answers. */
  async start({ command, cpu, port, host, path, output }: Command): Promise<Program> {
    const file = output === undefined ? undefined : await open(output, "a");
    const child = spawn("taskset", ["-c", cpu, ...command], {
      stdio: ["ignore", file?.fd ?? "ignore", "inherit"],
      detached: true,
    });
    this.#running.add(child);
    await file?.close();
    const name = command[0] ?? "";
    await answers(child, { name, port, host: host ?? "127.0.0.1", path: path ?? "/" });
    return { name, pid: child.pid ?? 0 };
  }

  /** Ends one program and everything it started. */
  async stop(program: Program): Promise<void> {
    for (const child of this.#running) if (child.pid === program.pid) await this.#end(child);
  }

  /** Writes a file into the stage's folder and returns its path. */
  async file(name: string, content: string | Buffer): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, content);
    return path;
  }

  /** The same below a folder of the stage's. */
  async folderFile(folder: string, name: string, content: string | Buffer): Promise<string> {
    await mkdir(join(this.folder, folder), { recursive: true });
    return this.file(join(folder, name), content);
  }

  /** Is called when the stage is cleared. */
  defer(close: () => Promise<void> | void): void {
    this.#closers.push(close);
  }

  async #close(): Promise<void> {
    for (const close of this.#closers.toReversed()) await close();
    await Promise.all([...this.#running].map((child) => this.#end(child)));
    process.off("exit", this.#onExit);
    await rm(this.folder, { recursive: true, force: true });
  }

  async #end(child: ChildProcess): Promise<void> {
    this.#running.delete(child);
    const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : undefined;
    killGroup(child);
    await ended;
  }

  #killAll(): void {
    for (const child of this.#running) killGroup(child);
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // The group has ended by itself.
  }
}

/** A signal ends the run through `exit`, so that every stage's programs end with it. */
export function endOnSignals(): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(signal, () => process.exit(130));
}

/** CPU time that a program has used so far, its children's included. */
export async function cpuOf({ pid }: Program): Promise<Cpu> {
  let [user, system] = [0, 0];
  for (const one of await withChildren(pid)) {
    const fields = (await readFile(`/proc/${one}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
    user += Number(fields[11]);
    system += Number(fields[12]);
  }
  const us = (ticks: number): number => (ticks / TICKS_PER_SECOND) * 1e6;
  return { userUs: us(user), systemUs: us(system) };
}

/** Resident memory of a program, its children's included. */
export async function rssMib({ pid }: Program): Promise<number> {
  let kib = 0;
  for (const one of await withChildren(pid))
    kib += Number(/VmRSS:\s+(\d+)/.exec(await readFile(`/proc/${one}/status`, "utf8"))?.[1] ?? 0);
  return kib / 1024;
}

async function withChildren(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
  const below = await Promise.all(children.split(" ").filter(Boolean).map(Number).map(withChildren));
  return [pid, ...below.flat()];
}

/** A free port whose `count` successors are free too. */
export async function freePorts(count: number): Promise<number> {
  for (;;) {
    const first = await listenOn(0);
    const others = Array.from({ length: count - 1 }, (_, index) => first + 1 + index);
    const taken = await Promise.all(others.map((port) => listenOn(port).catch(() => 0)));
    if (first < 60_000 && !taken.includes(0)) return first;
  }
}

function listenOn(port: number): Promise<number> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host: "127.0.0.1" }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
    });
  });
}

interface Knock {
  readonly name: string;
  readonly port: number;
  readonly host: string;
  readonly path: string;
}

async function answers(child: ChildProcess, { name, port, host, path }: Knock): Promise<void> {
  const giveUpMs = Date.now() + READY_MS;
  while (!(await hasAnswer(port, host, path))) {
    if (child.exitCode !== null) throw new Error(`${name} has ended with ${child.exitCode}`);
    if (Date.now() > giveUpMs) throw new Error(`${name} does not answer on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function hasAnswer(port: number, host: string, path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get({ port, host: "127.0.0.1", path, headers: { host }, agent: false }, (response) => {
      response.resume();
      resolve(true);
    });
    request.on("error", () => resolve(false));
    request.setTimeout(1_000, () => request.destroy());
  });
}
