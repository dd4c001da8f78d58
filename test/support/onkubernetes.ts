// weir on a real Kubernetes control plane, for end-to-end tests: node agent, controllers, proxies and load as processes of their own in
// the test bed's network namespace. The controllers run with the rights of deploy/kubernetes/rbac.yaml and no others.
import { spawn } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Test } from "tap";
import {
  type KubeObject,
  POD_HASH_LABEL,
  RESOURCES,
  type ResourceType,
  type Rollout,
  readRollout,
} from "../../src/api/api.ts";
import { createReflector } from "../../src/cluster/client.ts";
import { gatewayBootstrap } from "../../src/embedded/gateway/bootstrap.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { isObject } from "../../src/lib/json.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { startTestBed, type TestBed } from "./testbed.ts";
import { type CommandResult, run } from "./up.ts";

const ROOT = new URL("../../", import.meta.url).pathname;
const LAUNCHER = join(ROOT, "src/weir.js");
const LOAD = join(ROOT, "deploy/examples/quickstart/load.ts");
const MANIFESTS = join(ROOT, "deploy/kubernetes");
const WAIT_MS = 45_000;
const EXIT_MS = 20_000;
/** Characters of a program's output that a failed test shows. */
const MAX_SHOWN = 8_000;
/** Namespace of deploy/kubernetes. */
export const SYSTEM = "weir-system";

/** A process of the test. */
export interface Program {
  readonly pid: number;
  /** What it has written, both streams. */
  output(): string;
  /** Resolves with the first line that matches; rejects when the process ends before, or after 45 s. */
  said(line: RegExp): Promise<string>;
  /** One line to its standard input. */
  tell(line: string): void;
  /** Sends the signal and waits for the end (20 s, then SIGKILL): the exit code, null after a signal. */
  end(signal: NodeJS.Signals): Promise<number | null>;
}

export interface KubernetesScene {
  readonly bed: TestBed;
  /** The namespace of the Rollouts. */
  readonly namespace: string;
  /** Of the controller's service account, for processes inside the namespace. */
  readonly controllerKubeconfig: string;
  /** Starts the node agent, where `hasAgent: false` left that to the test. */
  startAgent(...args: readonly string[]): Promise<void>;
  startController(name: string, xdsPort: number): Promise<Program>;
  /** A proxy of the Gateway `name` that tries the controllers at these ports. Resolves when it is ready. */
  startProxy(name: string, adminPort: number, xdsPorts: readonly number[]): Promise<Program>;
  /** Requests per second through the gateways at these ports, until it is ended. */
  startLoad(ports: readonly number[], rate: number, host: string): Program;
  /** Applies manifests as users do. */
  apply(...objects: readonly KubeObject[]): Promise<void>;
  /** The CLI, as the administrator, on the scene's namespace. */
  weir(...args: readonly string[]): Promise<CommandResult>;
  /** Every version of the Rollout that the watch has shown, oldest first. */
  history(name: string): readonly Rollout[];
  /** The Rollout once it is as wanted; the version seen at this moment counts. */
  until(name: string, isWanted: (rollout: Rollout) => boolean): Promise<Rollout>;
  /** Pods that are not being deleted, by version. */
  pods(): Promise<Readonly<Record<string, number>>>;
  /** Reasons of the events about the Rollout in the order in which the watch has shown them; a repeat is one more. */
  events(name: string): readonly string[];
}

/** Starts the control plane, the node agent and a namespace; undefined after the test was told that the machine lacks what it needs. */
export async function startKubernetesScene(
  t: Test,
  options: { readonly apiServerFlags?: readonly string[]; readonly hasAgent?: boolean } = {},
): Promise<KubernetesScene | undefined> {
  const { apiServerFlags, hasAgent = true } = options;
  const bed = await startTestBed(t, {
    hasControllers: true,
    hasScheduler: true,
    isInNamespace: true,
    hasGatewayApi: true,
    ...(apiServerFlags !== undefined && { apiServerFlags }),
  });
  if (bed === undefined) return undefined;
  await kubectl(bed, ["apply", "-f", join(MANIFESTS, "namespace.yaml"), "-f", join(MANIFESTS, "rbac.yaml")]);
  const controllerKubeconfig = await serviceAccountKubeconfig(bed);
  const startAgent = async (...more: readonly string[]): Promise<void> => {
    const flags = ["--node", "local", "--dir", join(bed.folder, "agent"), "--pod-cidr", "10.244.0.0/16"];
    const args = ["agent", "--kubeconfig", bed.innerKubeconfig, ...flags, ...more];
    await weirInside(t, bed, args).said(/agent runs/);
  };
  if (hasAgent) await startAgent();
  const namespace = await bed.namespace("shop");
  const watched = await watchAll(t, bed, namespace);
  return {
    bed,
    namespace,
    controllerKubeconfig,
    startAgent,
    async startController(name, xdsPort) {
      const flags = ["--identity", name, "--xds-host", "127.0.0.1", "--xds-port", String(xdsPort)];
      // Pods and controllers share the namespace's ports here, and the demo listens on 8080.
      const free = ["--metrics-port", "0", "--health-port", "0"];
      const started = weirInside(t, bed, [
        "controller",
        "--kubeconfig",
        controllerKubeconfig,
        ...flags,
        ...free,
      ]);
      await started.said(/controller runs/);
      return started;
    },
    async startProxy(name, adminPort, xdsPorts) {
      const file = join(bed.folder, `${name}.json`);
      await writeFile(
        file,
        bootstrapOf(`${namespace}/${name}-0`, `gateway/${namespace}/${name}`, adminPort, xdsPorts),
      );
      const started = weirInside(t, bed, ["proxy", "--config", file]);
      const admin = await bed.netns?.forward("127.0.0.1", adminPort);
      await poll(`proxy ${name} is ready`, async () => {
        const answer = await fetch(`http://127.0.0.1:${admin}/ready`).catch(() => undefined);
        return answer?.ok;
      });
      return started;
    },
    startLoad(ports, rate, host) {
      const targets = ports.map((port) => `http://127.0.0.1:${port}`).join(",");
      const argv = [process.execPath, LOAD, "--targets", targets, "--rate", String(rate), "--host", host];
      return startProgram(t, inside(bed, argv));
    },
    async apply(...objects) {
      await kubectl(bed, ["-n", namespace, "apply", "-f", "-"], JSON.stringify(listOf(objects)));
    },
    weir: (...args) =>
      run([process.execPath, LAUNCHER, ...args, "--kubeconfig", bed.kubeconfig, "-n", namespace]),
    ...watched,
    async pods() {
      const { items } = await bed.client.list(RESOURCES.pod, { namespace });
      const counts: Record<string, number> = {};
      for (const { metadata } of items) {
        const hash = metadata.labels?.[POD_HASH_LABEL] ?? "none";
        if (metadata.deletionTimestamp === undefined) counts[hash] = (counts[hash] ?? 0) + 1;
      }
      return counts;
    },
  };
}

/** A condition of `until`: in this phase, decided upon the spec as it stands. */
export function isSettled(phase: string): (rollout: Rollout) => boolean {
  return ({ metadata, status }) =>
    status.phase === phase && status.observedGeneration === String(metadata.generation);
}

/** Runs kubectl and fails with its words. */
export async function kubectl(bed: TestBed, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await bed.kubectl(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** Starts the CLI inside the namespace; it ends with the test. */
export function weirInside(t: Test, bed: TestBed, args: readonly string[]): Program {
  return startProgram(t, inside(bed, [process.execPath, LAUNCHER, ...args]));
}

/** Resolves when a gateway answers for the host: the load counts every failure from its first request on. */
export async function answers(bed: TestBed, port: number, host: string): Promise<void> {
  const forwarded = await bed.netns?.forward("127.0.0.1", port);
  await poll(
    `the gateway at ${port} answers`,
    () =>
      new Promise<boolean>((resolve) => {
        const asked = request(
          { host: "127.0.0.1", port: forwarded, headers: { host }, agent: false },
          (answer) => {
            answer.resume();
            answer.once("end", () => resolve(answer.statusCode === 200));
          },
        );
        asked.once("error", () => resolve(false)).end();
      }),
  );
}

/** Asks until there is an answer; fails with `claim` after 45 s. */
export async function poll<T>(claim: string, ask: () => Promise<T | undefined | false>): Promise<T> {
  for (const deadlineMs = Date.now() + WAIT_MS; ; ) {
    const found = await ask();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > deadlineMs) throw new Error(`not in time: ${claim}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function inside(bed: TestBed, argv: readonly string[]): readonly string[] {
  return bed.netns?.inside(argv) ?? argv;
}

/** The bootstrap of an embedded gateway, with the addresses of all controllers. */
function bootstrapOf(nodeId: string, group: string, adminPort: number, xdsPorts: readonly number[]): string {
  const marker = "127.0.0.1:1";
  const text = JSON.stringify(gatewayBootstrap({ nodeId, group, adminPort, xdsAddress: marker }));
  const endpoint = (port: number): string =>
    JSON.stringify({ endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } });
  return text.replace(endpoint(1), xdsPorts.map(endpoint).join(","));
}

/** A kubeconfig for the controller's service account, with a token as a pod gets one. */
export async function serviceAccountKubeconfig(bed: TestBed): Promise<string> {
  const token = (await kubectl(bed, ["-n", SYSTEM, "create", "token", "weir-controller"])).trim();
  // The cast holds because the test bed wrote the file.
  const config = JSON.parse(await readFile(bed.innerKubeconfig, "utf8")) as { users: { user: unknown }[] };
  for (const user of config.users) user.user = { token };
  const file = join(bed.folder, "controller.kubeconfig");
  await writeFile(file, JSON.stringify(config), { mode: 0o600 });
  return file;
}

async function watchAll(
  t: Test,
  bed: TestBed,
  namespace: string,
): Promise<Pick<KubernetesScene, "history" | "until" | "events">> {
  const seen = new Map<string, Rollout[]>();
  const news: KubeObject[] = [];
  const waiting = new Set<() => void>();
  await watchKind(t, bed, RESOURCES.rollout, namespace, (object) => {
    const { name } = object.metadata;
    seen.set(name, [...(seen.get(name) ?? []), readRollout(object).value]);
    for (const look of [...waiting]) look();
  });
  await watchKind(t, bed, RESOURCES.event, namespace, (object) => news.push(object));
  return {
    events: (name) =>
      news
        .filter(
          ({ involvedObject: about }) => isObject(about) && about.kind === "Rollout" && about.name === name,
        )
        .map(({ reason }) => String(reason)),
    history: (name) => seen.get(name) ?? [],
    until: (name, isWanted) =>
      new Promise((resolve, reject) => {
        const timer = setTimeout(() => {
          waiting.delete(look);
          const last = seen.get(name)?.at(-1);
          reject(new Error(`not in time: ${isWanted}: ${JSON.stringify(last?.status, undefined, 1)}`));
        }, WAIT_MS);
        function look(): void {
          const last = seen.get(name)?.at(-1);
          if (last === undefined || !isWanted(last)) return;
          clearTimeout(timer);
          waiting.delete(look);
          resolve(last);
        }
        waiting.add(look);
        look();
      }),
  };
}

/** Hands on every version of every object that is there. */
async function watchKind(
  t: Test,
  { client }: TestBed,
  type: ResourceType,
  namespace: string,
  onSeen: (object: KubeObject) => void,
): Promise<void> {
  const reflector = createReflector({ client, type, namespace, clock: systemClock, log: silentLogger });
  reflector.subscribe((event) => {
    if (event.kind !== "deleted") onSeen(event.object);
  });
  reflector.start();
  t.teardown(() => reflector.stop());
  await reflector.waitForSync();
}

function listOf(items: readonly KubeObject[]): unknown {
  return { apiVersion: "v1", kind: "List", items };
}

function startProgram(t: Test, argv: readonly string[]): Program {
  const [command = "", ...args] = argv;
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"], cwd: ROOT });
  let output = "";
  const lines: string[] = [];
  const listeners = new Set<(line: string) => void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      output += `${line}\n`;
      lines.push(line);
      for (const hear of [...listeners]) hear(line);
    });
  }
  child.stdin.on("error", () => undefined); // it has ended: whoever waits for it learns that
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal);
    const last = setTimeout(() => child.kill("SIGKILL"), EXIT_MS);
    const code = await exited;
    clearTimeout(last);
    return code;
  };
  t.teardown(async () => {
    await end("SIGTERM");
    if (!t.passing()) console.error(`# ${args.slice(4).join(" ")} wrote:\n${output.slice(-MAX_SHOWN)}`);
  });
  return {
    pid: child.pid ?? 0,
    output: () => output,
    said: (wanted) =>
      new Promise((resolve, reject) => {
        const done = (settle: () => void): void => {
          clearTimeout(timer);
          listeners.delete(hear);
          settle();
        };
        const fail = (why: string): void => done(() => reject(new Error(`${why} ${wanted}:\n${output}`)));
        const timer = setTimeout(() => fail("did not say in time"), WAIT_MS);
        const hear = (line: string): void => {
          if (wanted.test(line)) done(() => resolve(line));
        };
        listeners.add(hear);
        void exited.then((code) => fail(`ended with ${code} before it said`));
        const earlier = lines.find((line) => wanted.test(line));
        if (earlier !== undefined) hear(earlier);
      }),
    tell: (line) => void child.stdin.write(`${line}\n`),
    end,
  };
}
