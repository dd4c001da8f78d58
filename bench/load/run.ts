// CPU per request of weir's proxy against nginx, HAProxy and http-proxy on small GETs: `npm run bench:load`.
// Proxies on CPU 0, origin and load on CPU 1; all are started and warmed, then measured in turn, round after round; CPU is what
// /proc says that the process used. Options: --rounds 10 --seconds 5 --connections 64 --only weir,nginx
// Needs nginx, haproxy, wrk and taskset. Writes bench/results/load-<time>.json and prints a table.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { machineFacts } from "../lib/machine.ts";
import { haproxyConfig } from "./rivals/haproxy.cfg.ts";
import { nginxOriginConfig, nginxProxyConfig } from "./rivals/nginx.conf.ts";
import { weirBootstrap } from "./rivals/weir.ts";

const PROXY_CPU = "0";
const LOAD_CPU = "1";
/** Clock ticks of /proc/PID/stat per second (USER_HZ, 100 on every Linux that Node supports). */
const TICKS_PER_SECOND = 100;
const READY_MS = 10_000;

interface Sample {
  readonly requests: number;
  readonly userUs: number;
  readonly systemUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly errors: number;
}

interface Contender {
  readonly name: string;
  readonly port: number;
  readonly processes: readonly ChildProcess[];
  readonly samples: Sample[];
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: "string", default: "10" },
      seconds: { type: "string", default: "5" },
      connections: { type: "string", default: "64" },
      only: { type: "string", default: "nginx,haproxy,weir,http-proxy" },
    },
  });
  const folder = await mkdtemp(join(tmpdir(), "weir-bench-"));
  const running: ChildProcess[] = [];
  try {
    const contenders = await start(folder, values.only.split(","), running);
    const load = (contender: Contender, seconds: number) =>
      measure(contender, Number(values.connections), seconds);
    for (const contender of contenders) await load(contender, 2);
    for (let round = 1; round <= Number(values.rounds); round++) {
      for (const contender of contenders)
        contender.samples.push(await load(contender, Number(values.seconds)));
      console.error(`round ${round} of ${values.rounds}`);
    }
    await report(contenders, values);
  } finally {
    for (const child of running) child.kill("SIGKILL");
    await rm(folder, { recursive: true, force: true });
  }
}

async function start(
  folder: string,
  names: readonly string[],
  running: ChildProcess[],
): Promise<Contender[]> {
  const origin = await freePair();
  const write = async (name: string, text: string): Promise<string> => {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  };
  const run = async (cpu: string, port: number, command: readonly string[]): Promise<ChildProcess> => {
    const child = spawn("taskset", ["-c", cpu, ...command], { stdio: ["ignore", "ignore", "inherit"] });
    running.push(child);
    await answers(port, command[0] ?? "");
    return child;
  };
  await run(LOAD_CPU, origin, ["nginx", "-c", await write("origin.conf", nginxOriginConfig(folder, origin))]);
  const contenders: Contender[] = [];
  for (const name of names) {
    const port = await freePair();
    const child = await run(PROXY_CPU, port, await commandOf(name, port, origin, folder, write));
    contenders.push({ name, port, processes: [child], samples: [] });
  }
  return contenders;
}

async function commandOf(
  name: string,
  port: number,
  origin: number,
  folder: string,
  write: (name: string, text: string) => Promise<string>,
): Promise<readonly string[]> {
  switch (name) {
    case "nginx":
      return ["nginx", "-c", await write("nginx.conf", nginxProxyConfig(folder, port, origin))];
    case "haproxy":
      return ["haproxy", "-db", "-f", await write("haproxy.cfg", haproxyConfig(port, origin))];
    case "http-proxy":
      return [
        process.execPath,
        "--no-deprecation",
        "bench/load/rivals/httpproxy.ts",
        String(port),
        String(origin),
      ];
    case "weir": {
      const config = await write("weir.json", JSON.stringify(weirBootstrap(port, port + 1, origin)));
      return [process.execPath, "src/weir.js", "proxy", "--log-level", "error", "--config", config];
    }
    default:
      throw new Error(`unknown contender ${name}: choose among nginx, haproxy, weir, http-proxy`);
  }
}

/** One run of wrk against one proxy, and what the proxy's processes used meanwhile. */
async function measure(contender: Contender, connections: number, seconds: number): Promise<Sample> {
  const before = await cpuOf(contender);
  const url = `http://127.0.0.1:${contender.port}/`;
  const args = ["-c", LOAD_CPU, "wrk", "-t1", `-c${connections}`, `-d${seconds}s`, "--latency", url];
  const text = await outputOf("taskset", args);
  const after = await cpuOf(contender);
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);
  const requests = number(/(\d+) requests in/);
  const perRequestUs = (ticks: number): number => ((ticks / TICKS_PER_SECOND) * 1e6) / requests;
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  return {
    requests,
    userUs: perRequestUs(after.user - before.user),
    systemUs: perRequestUs(after.system - before.system),
    p50Us: microseconds(/^\s+50%\s+(\S+)$/m.exec(text)?.[1]),
    p99Us: microseconds(/^\s+99%\s+(\S+)$/m.exec(text)?.[1]),
    errors:
      number(/Non-2xx or 3xx responses: (\d+)/) + socketErrors.reduce((sum, one) => sum + Number(one), 0),
  };
}

/** Ticks used by a proxy so far, children (nginx's worker) included. */
async function cpuOf({ processes }: Contender): Promise<{ readonly user: number; readonly system: number }> {
  let [user, system] = [0, 0];
  for (const pid of await withChildren(processes.map((child) => child.pid ?? 0))) {
    const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]?.split(" ") ?? [];
    user += Number(fields[11]);
    system += Number(fields[12]);
  }
  return { user, system };
}

async function withChildren(pids: readonly number[]): Promise<number[]> {
  const all = [...pids];
  for (const pid of pids) {
    const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => "");
    all.push(...(await withChildren(children.split(" ").filter(Boolean).map(Number))));
  }
  return all;
}

async function peakMib({ processes }: Contender): Promise<number> {
  let kib = 0;
  for (const pid of await withChildren(processes.map((child) => child.pid ?? 0)))
    kib += Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
  return kib / 1024;
}

async function report(
  contenders: readonly Contender[],
  options: Readonly<Record<string, string>>,
): Promise<void> {
  const nginx = contenders.find(({ name }) => name === "nginx");
  const cpu = (sample: Sample): number => sample.userUs + sample.systemUs;
  const rows = [];
  for (const contender of contenders) {
    const { samples } = contender;
    // Ratios are of the same round: what slows the machine for a while slows both.
    const ratios = samples.map((sample, round) => {
      const rival = nginx?.samples[round];
      return rival === undefined ? Number.NaN : cpu(sample) / cpu(rival);
    });
    const totals = samples.map(cpu);
    rows.push({
      proxy: contender.name,
      "CPU us/request": median(totals).toFixed(2),
      spread: `${Math.min(...totals).toFixed(2)}-${Math.max(...totals).toFixed(2)}`,
      user: median(samples.map(({ userUs }) => userUs)).toFixed(2),
      system: median(samples.map(({ systemUs }) => systemUs)).toFixed(2),
      "x nginx": median(ratios).toFixed(2),
      "ratio spread": `${Math.min(...ratios).toFixed(2)}-${Math.max(...ratios).toFixed(2)}`,
      "p50 us": median(samples.map(({ p50Us }) => p50Us)).toFixed(0),
      "p99 us": median(samples.map(({ p99Us }) => p99Us)).toFixed(0),
      "peak MiB": (await peakMib(contender)).toFixed(0),
      errors: samples.reduce((sum, { errors }) => sum + errors, 0),
    });
  }
  console.table(rows);
  const results = {
    command: ["node bench/load/run.ts", ...process.argv.slice(2)].join(" "),
    options,
    machine: machineFacts(),
    rows,
    samples: contenders.map(({ name, samples }) => ({ name, samples })),
  };
  await mkdir("bench/results", { recursive: true });
  const file = `bench/results/load-${new Date().toISOString().replaceAll(":", "")}.json`;
  await writeFile(file, `${JSON.stringify(results, undefined, 1)}\n`);
  console.log(file);
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] ?? 0)
    : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}

function microseconds(text = "0"): number {
  const value = Number.parseFloat(text);
  if (text.endsWith("us")) return value;
  return text.endsWith("ms") ? value * 1_000 : value * 1_000_000;
}

function outputOf(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${command} exited with ${code}: ${text}`)),
    );
  });
}

/** A free port whose successor is free too. */
async function freePair(): Promise<number> {
  for (;;) {
    const port = await listenOn(0);
    if (port < 65_000 && (await listenOn(port + 1).catch(() => 0)) !== 0) return port;
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

async function answers(port: number, name: string): Promise<void> {
  const giveUpMs = Date.now() + READY_MS;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    if (response?.ok) return;
    if (Date.now() > giveUpMs) throw new Error(`${name} does not answer on port ${port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

await main();
