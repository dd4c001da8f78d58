// The containers' processes of one state folder, read from /proc: who runs, as which attempt of which container of which pod.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

export interface ContainerProcess {
  /** Process id of the leader, which keeps the command and writes down how it ended. */
  readonly keeper: number;
  readonly podUid: string;
  readonly podName: string;
  readonly attempt: number;
  /** Folder of the attempt. */
  readonly dir: string;
}

/** All that run now. */
export async function containerProcesses(stateDir: string): Promise<ContainerProcess[]> {
  const found: ContainerProcess[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const words = (await readFile(`/proc/${name}/cmdline`, "utf8")).split("\0");
      const dir = words.find((word) => word.startsWith(join(stateDir, "pods/")));
      if (words[3] !== "weir-container" || dir === undefined) continue;
      const stat = await readFile(`/proc/${name}/stat`, "utf8");
      const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (group !== name || state === "Z") continue;
      const environ = await readFile(`/proc/${name}/environ`, "utf8");
      const [podUid = "", , attempt = ""] = dir.slice(join(stateDir, "pods/").length).split("/");
      const podName = /(?:^|\0)POD_NAME=([^\0]*)/.exec(environ)?.[1] ?? "";
      found.push({ keeper: Number(name), podUid, podName, attempt: Number(attempt.replace(/\D/g, "")), dir });
    } catch {
      // It ended while it was looked at.
    }
  }
  return found;
}

/** Process id of the container's own command. */
export async function commandPid({ dir }: ContainerProcess): Promise<number> {
  return Number(await readFile(join(dir, "pid"), "utf8"));
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

export interface ProcessWatch {
  /** Pods' containers that ran as two processes at one time, as `pod attempt attempt`. */
  readonly doubles: ReadonlySet<string>;
  /** Attempts seen of each pod, by pod name. */
  readonly attempts: ReadonlyMap<string, ReadonlySet<number>>;
  /** One last look, and the end. */
  stop(): Promise<void>;
}

const LOOK_MS = 100;

/** Looks again and again, until stopped. */
export function watchProcesses(stateDir: string): ProcessWatch {
  const doubles = new Set<string>();
  const attempts = new Map<string, Set<number>>();
  let isStopped = false;
  const look = async (): Promise<void> => {
    const running = new Map<string, number>();
    for (const { podUid, podName, attempt } of await containerProcesses(stateDir)) {
      const name = podName === "" ? podUid : podName;
      attempts.set(name, (attempts.get(name) ?? new Set()).add(attempt));
      const other = running.get(podUid);
      if (other !== undefined) doubles.add(`${name} ${other} ${attempt}`);
      running.set(podUid, attempt);
    }
  };
  const looking = (async () => {
    while (!isStopped) {
      await look();
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  })();
  return {
    doubles,
    attempts,
    async stop() {
      isStopped = true;
      await looking;
      await look();
    },
  };
}
