// The node agent killed with SIGKILL: pods serve on, the next agent takes them over, nothing is started twice, what was deleted
// meanwhile is stopped. The agent is a process of its own, connected to the embedded server over a socket.
import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Test, test } from "tap";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { isPodReady, readPod } from "../../src/embedded/agent/podspec.ts";
import { type WorkloadBed, workloadBed } from "../support/workloads.ts";

const TIMEOUT_MS = 90_000;
const MARK = "WEIR_TEST_CRASH";

/** Says `up` once the pods are known; SIGTERM leaves the pods, SIGINT ends them. */
const AGENT = `
import { connectCluster } from ${url("src/cluster/client.ts")};
import { createAgent } from ${url("src/embedded/embedded.ts")};
import { systemClock } from ${url("src/lib/clock.ts")};
import { createLogger } from ${url("src/lib/log.ts")};
const [kubeconfig, stateDir] = process.argv.slice(2);
const { client } = await connectCluster({ kubeconfig, env: process.env });
const agent = createAgent({ client, nodeName: "node", stateDir, clock: systemClock, log: createLogger({ level: "error" }),
  network: { kind: "loopback" }, bindsPods: true, backoffScale: 0.01 });
process.once("SIGTERM", () => void agent.stop({ keepPods: true }).then(() => process.exit(0)));
process.once("SIGINT", () => void agent.stop({ keepPods: false }).then(() => process.exit(0)));
console.log("begin");
await agent.start();
console.log("up");
setInterval(() => {}, 1000);
`;

function url(path: string): string {
  return JSON.stringify(new URL(`../../${path}`, import.meta.url).href);
}

interface AgentProcess {
  readonly child: ChildProcess;
  said(word: string): Promise<void>;
  end(signal: NodeJS.Signals): Promise<void>;
}

interface CrashBed extends WorkloadBed {
  agent(): AgentProcess;
}

async function crashBed(t: Test): Promise<CrashBed> {
  t.setTimeout(TIMEOUT_MS);
  const bed = await workloadBed(t);
  const listener = await bed.server.listen({ port: 0 });
  const kubeconfig = join(bed.stateDir, "kubeconfig");
  bed.server.writeKubeconfig(kubeconfig, listener);
  const script = join(bed.stateDir, "agent.ts");
  await writeFile(script, AGENT);
  const running = new Set<AgentProcess>();
  const agent = (): AgentProcess => {
    const child = spawn(process.execPath, [script, kubeconfig, bed.stateDir], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (data) => {
      said += data;
    });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const made: AgentProcess = {
      child,
      async said(word) {
        for (const deadlineMs = Date.now() + 15_000; !said.includes(word); ) {
          if (Date.now() > deadlineMs || child.exitCode !== null)
            throw new Error(`the agent did not say ${word}`);
          await pause(5);
        }
      },
      async end(signal) {
        running.delete(made);
        child.kill(signal);
        await exited;
      },
    };
    running.add(made);
    return made;
  };
  t.teardown(async () => {
    for (const left of running) await left.end("SIGKILL");
    for (const { pid } of await marked()) process.kill(-pid, "SIGKILL");
  });
  return { ...bed, agent };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Keepers of containers that run now (leaders of their group), with their pod. Linux only. */
async function marked(): Promise<readonly { readonly pid: number; readonly pod: string }[]> {
  const found: { pid: number; pod: string }[] = [];
  for (const name of await readdir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const environ = await readFile(`/proc/${name}/environ`, "utf8");
      if (!environ.includes(`${MARK}=`)) continue;
      const stat = await readFile(`/proc/${name}/stat`, "utf8");
      const [state, , group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (group !== name || state === "Z") continue;
      found.push({ pid: Number(name), pod: /POD_NAME=([^\0]*)/.exec(environ)?.[1] ?? "" });
    } catch {
      // It ended while it was looked at.
    }
  }
  return found;
}

function replicaSet(replicas: number): Record<string, unknown> {
  const container = {
    name: "main",
    image: "any",
    command: ["sleep", "600"],
    env: [{ name: MARK, value: "1" }],
  };
  return {
    metadata: { name: "web" },
    spec: {
      replicas,
      selector: { matchLabels: { app: "web" } },
      template: {
        metadata: { labels: { app: "web" } },
        spec: { terminationGracePeriodSeconds: 5, containers: [container] },
      },
    },
  };
}

const areReady = (pods: readonly KubeObject[], count: number): boolean =>
  pods.length === count && pods.every((pod) => isPodReady(readPod(pod)));
const restartsOf = (pods: readonly KubeObject[]): number[] =>
  pods.map((pod) => readPod(pod).status.containerStatuses?.[0]?.restartCount ?? 0);
const containerIds = (pods: readonly KubeObject[]): string[] =>
  pods.map((pod) => readPod(pod).status.containerStatuses?.[0]?.containerID ?? "").sort();

const linuxOnly = process.platform === "linux" ? {} : { skip: "looks into /proc" };

test(
  "agent: killed, its pods run on and are taken over; those deleted meanwhile are stopped",
  linuxOnly,
  async (t) => {
    const bed = await crashBed(t);
    await bed.startControllers();
    await bed.create(RESOURCES.replicaSet, replicaSet(3));
    const first = bed.agent();
    const before = await bed.untilList(RESOURCES.pod, (pods) => areReady(pods, 3));
    const pids = (await marked()).map(({ pid }) => pid).sort();
    t.equal(pids.length, 3);
    await first.end("SIGKILL");
    t.same((await marked()).map(({ pid }) => pid).sort(), pids, "the pods outlive their agent");

    const doomed = before[0]?.metadata.name ?? "";
    await bed.client.delete(RESOURCES.pod, { namespace: "default", name: doomed });
    // Gone from the API altogether, as when the pod was deleted by force: no watch event will tell the next agent.
    await bed.client.delete(RESOURCES.pod, { namespace: "default", name: doomed }, { gracePeriodSeconds: 0 });
    const second = bed.agent();
    await second.said("up");
    const after = await bed.untilList(
      RESOURCES.pod,
      (pods) => areReady(pods, 3) && pods.every(({ metadata }) => metadata.name !== doomed),
    );
    const kept = containerIds(before.filter(({ metadata }) => metadata.name !== doomed));
    t.ok(
      kept.every((id) => containerIds(after).includes(id)),
      "the same attempts go on",
    );
    t.same(
      after.map((pod) => readPod(pod).status.containerStatuses?.[0]?.restartCount),
      [0, 0, 0],
    );
    for (const deadlineMs = Date.now() + 10_000; Date.now() < deadlineMs; await pause(20))
      if ((await marked()).every(({ pod }) => pod !== doomed)) break;
    t.same((await marked()).map(({ pod }) => pod).sort(), after.map(({ metadata }) => metadata.name).sort());

    await second.end("SIGTERM");
    t.equal((await marked()).length, 3, "asked to leave its pods, it does");
    const undertaker = await bed.startAgent({ adoptsOnly: true, bindsPods: false });
    await undertaker.stop({ keepPods: false });
    t.equal((await marked()).length, 0, "one that only takes over ends what was left and starts nothing");
    const third = bed.agent();
    const areRestarted = (pods: readonly KubeObject[]): boolean =>
      restartsOf(pods).every((count) => count === 1);
    await bed.untilList(RESOURCES.pod, (pods) => areReady(pods, 3) && areRestarted(pods), 30_000);
    await third.end("SIGINT");
    t.equal((await marked()).length, 0, "asked to end them, it does");
  },
);

test(
  "agent: a process that ends while no agent runs is restarted once by the next, with its exit code known",
  linuxOnly,
  async (t) => {
    const bed = await crashBed(t);
    await bed.startControllers();
    await bed.create(RESOURCES.replicaSet, replicaSet(1));
    const first = bed.agent();
    await bed.untilList(RESOURCES.pod, (pods) => areReady(pods, 1));
    await first.end("SIGKILL");
    const [keeper] = await marked();
    const [pod] = (await bed.client.list(RESOURCES.pod)).items;
    const folder = join(bed.stateDir, "pods", pod?.metadata.uid ?? "", "main", "0");
    process.kill(Number(await readFile(join(folder, "pid"), "utf8")), "SIGUSR1");
    for (const deadlineMs = Date.now() + 5_000; Date.now() < deadlineMs && (await marked()).length > 0; )
      await pause(10);
    t.equal(await readFile(join(folder, "exit"), "utf8"), "138\n");
    bed.agent();
    const [restarted] = await bed.untilList(RESOURCES.pod, (pods) =>
      pods.every(
        (one) => isPodReady(readPod(one)) && readPod(one).status.containerStatuses?.[0]?.restartCount === 1,
      ),
    );
    t.equal(
      restarted && readPod(restarted).status.containerStatuses?.[0]?.lastState.terminated?.exitCode,
      138,
    );
    const now = await marked();
    t.equal(now.length, 1);
    t.not(now[0]?.pid, keeper?.pid);
  },
);

test(
  "agent: killed at any moment of starting pods, each pod ends up with one process",
  linuxOnly,
  async (t) => {
    const bed = await crashBed(t);
    await bed.startControllers();
    await bed.create(RESOURCES.replicaSet, replicaSet(2));
    // Moments from before the first request until well after the last start; the same each time.
    const momentsMs = [0, 50, 100, 200];
    for (const [round, delayMs] of momentsMs.entries()) {
      const agent = bed.agent();
      await agent.said("begin");
      const body = { spec: { replicas: 2 + (round % 4) } };
      await bed.client.patch(
        RESOURCES.replicaSet,
        { namespace: "default", name: "web" },
        { type: "merge", body },
      );
      await pause(delayMs);
      await agent.end("SIGKILL");
      const pods = (await marked()).map(({ pod }) => pod);
      t.equal(new Set(pods).size, pods.length, `killed after ${delayMs} ms: no pod runs twice`);
    }
    const body = { spec: { replicas: 4 } };
    await bed.client.patch(
      RESOURCES.replicaSet,
      { namespace: "default", name: "web" },
      { type: "merge", body },
    );
    bed.agent();
    const pods = await bed.untilList(RESOURCES.pod, (found) => areReady(found, 4));
    for (const deadlineMs = Date.now() + 10_000; Date.now() < deadlineMs && (await marked()).length !== 4; )
      await pause(20);
    t.same((await marked()).map(({ pod }) => pod).sort(), pods.map(({ metadata }) => metadata.name).sort());
    t.same(
      pods.map((pod) => readPod(pod).status.containerStatuses?.[0]?.restartCount),
      [0, 0, 0, 0],
      "none was restarted either",
    );
  },
);
