// Identity of local processes: a pid alone may have been given to another process, so it is compared with the process's start time.
// Linux reads /proc; elsewhere `ps` answers the same questions more slowly. Never signals anything.
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

export interface ProcessTable {
  /** When the process began, as text that is equal only for the same process since the same boot; undefined when it is gone or a zombie. */
  startOf(pid: number): Promise<string | undefined>;
  /** The leader of the process group whose environment holds `variable`, or undefined. */
  findLeader(variable: string): Promise<number | undefined>;
}

const PS_TIMEOUT_MS = 10_000;
const PS_OUTPUT_BYTES = 64 * 1024 * 1024;
const runFile = promisify(execFile);

/** The table that fits this machine. */
export function processTable(): ProcessTable {
  return existsSync("/proc/self/stat") ? procTable : psTable;
}

/** Reads /proc (Linux). */
export const procTable: ProcessTable = {
  async startOf(pid) {
    const stat = await readStat(pid);
    if (stat === undefined || stat.state === "Z" || stat.state === "X") return undefined;
    return `${await bootId()}:${stat.startTicks}`;
  },
  async findLeader(variable) {
    const wanted = Buffer.from(variable);
    for (const name of await readdir("/proc")) {
      const pid = Number(name);
      if (!Number.isInteger(pid)) continue;
      const environ = await quiet(readFile(`/proc/${pid}/environ`));
      if (environ === undefined || !environ.includes(wanted)) continue;
      const stat = await readStat(pid);
      if (stat !== undefined && stat.group === pid && stat.state !== "Z") return pid;
    }
    return undefined;
  },
};

/** Asks `ps` (systems without /proc). */
export const psTable: ProcessTable = {
  async startOf(pid) {
    const out = await ps(["-o", "stat=,lstart=", "-p", String(pid)]);
    const [state = "", ...start] = out.trim().split(/\s+/);
    return state === "" || state.startsWith("Z") ? undefined : start.join(" ");
  },
  async findLeader(variable) {
    const out = await ps(["axeww", "-o", "pid=,pgid=,command="]);
    for (const line of out.split("\n")) {
      const [, pid, group] = /^\s*(\d+)\s+(\d+)\s/.exec(line) ?? [];
      if (pid !== undefined && pid === group && line.includes(variable)) return Number(pid);
    }
    return undefined;
  },
};

interface Stat {
  readonly state: string;
  readonly group: number;
  readonly startTicks: string;
}

async function readStat(pid: number): Promise<Stat | undefined> {
  const text = (await quiet(readFile(`/proc/${pid}/stat`)))?.toString();
  if (text === undefined) return undefined;
  // The second field is the command in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", group: Number(fields[2]), startTicks: fields[19] ?? "" };
}

async function bootId(): Promise<string> {
  return (await quiet(readFile("/proc/sys/kernel/random/boot_id")))?.toString().trim() ?? "";
}

async function ps(args: readonly string[]): Promise<string> {
  const found = await quiet(runFile("ps", args, { timeout: PS_TIMEOUT_MS, maxBuffer: PS_OUTPUT_BYTES }));
  return found?.stdout ?? "";
}

/** A process may end while it is read; that is the answer "not there", no failure. */
async function quiet<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch {
    return undefined;
  }
}
