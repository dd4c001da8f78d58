// `weir proxy` as a process of its own: started from a bootstrap, watched over its admin port, ended by signals.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";

const PATIENCE_MS = 20_000;
/** What the proxy logs of a bug that it caught. */
export const INTERNAL_ERROR = "internal error on a connection";

export interface ProxyProcess {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly adminPort: number;
  /** What it has written to standard error. */
  log(): string;
  /** Of /ready. */
  ready(): Promise<string>;
  /** Body of an admin page. */
  page(path: string): Promise<string>;
  /** Value of a metric without labels. */
  metric(name: string): Promise<number>;
  /** Port of the listener so named, as the log tells it. */
  listenerPort(name: string): Promise<number>;
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

/** Starts it, by way of the command `before` if given; what still runs after the test is killed. `bootstrap` is written to a file; its admin port must be the one given. */
export async function startProxyProcess(
  t: Test,
  bootstrap: string,
  adminPort: number,
  args: readonly string[] = [],
  before: readonly string[] = [],
): Promise<ProxyProcess> {
  const folder = await temporaryFolder(t);
  const file = join(folder, "bootstrap.json");
  await writeFile(file, bootstrap);
  const [command = "", ...words] = [...before, process.execPath, "src/weir.js", "proxy", "--config", file];
  const child = spawn(command, [...words, ...args], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let text = "";
  child.stderr.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = once(child, "exit").then(
    ([code, signal]: (number | string | null)[]) => code ?? signal ?? "",
  );
  t.teardown(async () => {
    child.kill("SIGKILL");
    await ended;
    // Of its workers, too: what they log is theirs and their supervisor's.
    if (text.includes(INTERNAL_ERROR)) throw new Error(`internal errors: ${text}`);
  });
  const page = async (path: string): Promise<string> =>
    (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  return {
    child,
    pid: child.pid ?? 0,
    adminPort,
    log: () => text,
    ready: () => page("/ready").catch((error: unknown) => `no answer: ${String(error)}`),
    page,
    async metric(name) {
      const line = (await page("/metrics")).split("\n").find((one) => one.startsWith(`${name} `));
      return Number(line?.slice(name.length + 1));
    },
    async listenerPort(name) {
      const find = (): string | undefined =>
        text.split("\n").find((line) => line.includes("listening") && line.includes(`listener=${name} `));
      await until(() => find() !== undefined, `listener ${name} listens`);
      return Number(/port=(\d+)/.exec(find() ?? "")?.[1]);
    },
    ended,
  };
}

/** A folder of the test's own. */
export async function temporaryFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "weir-proxy-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Asks again and again until it is so; rejects after 20 s. */
export async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const giveUpMs = Date.now() + PATIENCE_MS;
  while (!(await isSo())) {
    if (Date.now() > giveUpMs) throw new Error(`did not come true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Processes whose parent is `pid`. */
export async function childrenOf(pid: number): Promise<readonly number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.trim() === "" ? [] : text.trim().split(" ").map(Number);
}
