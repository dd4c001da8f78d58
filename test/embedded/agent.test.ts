// The node agent against the embedded server, with real processes: a pod's life as a kubelet reports it.
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { type Test, test } from "tap";
import { type KubeObject, RESOURCES } from "../../src/api/api.ts";
import { NO_LOG } from "../../src/embedded/agent/agent.ts";
import { loadImages } from "../../src/embedded/agent/images.ts";
import { conditionOf, isPodReady, type Pod, readPod } from "../../src/embedded/agent/podspec.ts";
import { type WorkloadBed, workloadBed } from "../support/workloads.ts";

const NODE = process.execPath;
const NAME = { namespace: "default", name: "pod" };

async function bedWithAgent(t: Test): Promise<WorkloadBed> {
  const bed = await workloadBed(t);
  const agent = await bed.startAgent();
  bed.server.provideLogs(agent.readLogs);
  return bed;
}

function podOf(
  spec: Record<string, unknown>,
  metadata: Record<string, unknown> = {},
): Record<string, unknown> {
  return { metadata: { name: "pod", ...metadata }, spec: { terminationGracePeriodSeconds: 2, ...spec } };
}

const shell = (script: string, extra: object = {}): object => ({
  name: "main",
  image: "any",
  command: ["sh", "-c", script],
  ...extra,
});

async function untilPod(bed: WorkloadBed, isWanted: (pod: Pod) => boolean, name = "pod"): Promise<Pod> {
  const found = await bed.until(
    RESOURCES.pod,
    name,
    (object) => object !== undefined && isWanted(readPod(object)),
  );
  return readPod(found as KubeObject);
}

const mainOf = (pod: Pod): NonNullable<Pod["status"]["containerStatuses"]>[number] | undefined =>
  pod.status.containerStatuses?.[0];

async function logText(bed: WorkloadBed, query = ""): Promise<string> {
  const chunks: Uint8Array[] = [];
  const path = `/api/v1/namespaces/default/pods/pod/log${query}`;
  const response = await bed.server.transport().request({ method: "GET", path, headers: {} });
  for await (const chunk of response.body) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

test("agent: registers its node as ready", async (t) => {
  const bed = await bedWithAgent(t);
  const node = await bed.until(RESOURCES.node, "node", (found) => found?.status !== undefined);
  t.match(node?.status, {
    capacity: { pods: "110" },
    conditions: [{ type: "Ready", status: "True" }],
    addresses: [{ type: "InternalIP", address: "127.0.0.1" }, { type: "Hostname" }],
  });
});

test("agent: a pod runs with its environment, is ready, and its log can be read", async (t) => {
  process.env.ONLY_ON_THE_HOST = "no container's business";
  const bed = await bedWithAgent(t);
  await bed.create(RESOURCES.configMap, { metadata: { name: "settings" }, data: { mode: "fast" } });
  await bed.create(RESOURCES.secret, {
    metadata: { name: "keys" },
    data: { token: Buffer.from("s3cret").toString("base64") },
  });
  const env = [
    { name: "FIRST", value: "one" },
    { name: "SECOND", value: "$(FIRST)-two $$(FIRST) $(NONE)" },
    { name: "LABEL", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app']" } } },
    { name: "NODE", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } },
    { name: "MODE", valueFrom: { configMapKeyRef: { name: "settings", key: "mode" } } },
    { name: "TOKEN", valueFrom: { secretKeyRef: { name: "keys", key: "token" } } },
    { name: "GONE", valueFrom: { configMapKeyRef: { name: "none", key: "x", optional: true } } },
    { name: "dotted.name", value: "dots" },
  ];
  const script = `const e = process.env;
    console.log([e.FIRST, e.SECOND, e.LABEL, e.NODE, e.MODE, e.TOKEN, e.GONE, e["dotted.name"], e.POD_NAME, e.POD_NAMESPACE, e.POD_IP, e.PORT, e.PORT_9090, e.ONLY_ON_THE_HOST].join("|"));
    console.log(process.argv.slice(1).join("|")); setInterval(() => {}, 1000)`;
  const container = {
    name: "main",
    image: "any",
    command: [NODE, "-e", script],
    args: ["--", "a$(FIRST)", "b c"],
    env,
    ports: [{ containerPort: 8080 }, { containerPort: 9090 }],
  };
  await bed.create(RESOURCES.pod, podOf({ containers: [container] }, { labels: { app: "web" } }));
  const pod = await untilPod(bed, isPodReady);
  t.equal(pod.status.phase, "Running");
  t.equal(pod.status.podIP, "127.0.0.1");
  for (const type of ["PodScheduled", "Initialized", "ContainersReady", "Ready"])
    t.equal(conditionOf(pod, type)?.status, "True", type);
  t.match(mainOf(pod), { ready: true, started: true, restartCount: 0, state: { running: {} } });
  const ports = JSON.parse(pod.metadata.annotations?.["weir.dev/ports"] ?? "{}");
  t.equal(Object.keys(ports).join(), "8080,9090");
  t.not(ports["8080"], ports["9090"]);
  let text = "";
  for (const deadlineMs = Date.now() + 5_000; Date.now() < deadlineMs && text.split("\n").length < 3; )
    text = await logText(bed);
  t.equal(
    text,
    `one|one-two $(FIRST) $(NONE)|web|node|fast|s3cret||dots|pod|default|127.0.0.1|${ports["8080"]}|${ports["9090"]}|\naone|b c\n`,
  );
});

test("agent: init containers run in order before the others, a sidecar starts between them and stays", async (t) => {
  const bed = await bedWithAgent(t);
  const initContainers = [
    { ...shell("echo first >> order"), name: "first", workingDir: bed.stateDir },
    {
      ...shell("echo sidecar >> order; while :; do sleep 0.1; done"),
      name: "sidecar",
      workingDir: bed.stateDir,
      restartPolicy: "Always",
      startupProbe: { periodSeconds: 1, exec: { command: ["grep", "-q", "sidecar", "order"] } },
    },
    { ...shell("echo second >> order"), name: "second", workingDir: bed.stateDir },
  ];
  const main = shell("cat order; sleep 600", { workingDir: bed.stateDir });
  await bed.create(RESOURCES.pod, podOf({ initContainers, containers: [main] }));
  const pod = await untilPod(bed, isPodReady);
  t.match(pod.status.initContainerStatuses, [
    { name: "first", state: { terminated: { exitCode: 0, reason: "Completed" } } },
    { name: "sidecar", state: { running: {} }, started: true, ready: true },
    { name: "second", state: { terminated: { exitCode: 0 } } },
  ]);
  let text = "";
  for (const deadlineMs = Date.now() + 5_000; Date.now() < deadlineMs && text === ""; )
    text = await logText(bed, "?container=main");
  t.equal(text, "first\nsidecar\nsecond\n");
});

test("agent: an init container that fails is tried again; with restartPolicy Never the pod fails", async (t) => {
  const bed = await bedWithAgent(t);
  const init = {
    ...shell("test -e flag || { touch flag; exit 3; }"),
    name: "init",
    workingDir: bed.stateDir,
  };
  await bed.create(RESOURCES.pod, podOf({ initContainers: [init], containers: [shell("sleep 600")] }));
  const pod = await untilPod(bed, isPodReady);
  t.match(pod.status.initContainerStatuses, [
    { restartCount: 1, lastState: { terminated: { exitCode: 3 } } },
  ]);
  const failing = {
    ...podOf({
      restartPolicy: "Never",
      initContainers: [{ ...shell("exit 4"), name: "init" }],
      containers: [shell("sleep 1")],
    }),
    metadata: { name: "failing" },
  };
  await bed.create(RESOURCES.pod, failing);
  const failed = await untilPod(bed, (found) => found.status.phase === "Failed", "failing");
  t.match(failed.status.containerStatuses, [{ state: { waiting: { reason: "PodInitializing" } } }]);
});

test("agent: a pod with restartPolicy Never ends as Succeeded or Failed and keeps its log", async (t) => {
  const bed = await bedWithAgent(t);
  await bed.create(RESOURCES.pod, podOf({ restartPolicy: "Never", containers: [shell("echo done")] }));
  const pod = await untilPod(bed, (found) => found.status.phase === "Succeeded");
  t.match(mainOf(pod), { ready: false, state: { terminated: { exitCode: 0, reason: "Completed" } } });
  t.match(conditionOf(pod, "Ready"), { status: "False", reason: "PodCompleted" });
  t.equal(await logText(bed), "done\n");
});

test("agent: a command that exits at once is restarted with back-off and shown as CrashLoopBackOff", async (t) => {
  const bed = await bedWithAgent(t);
  await bed.create(RESOURCES.pod, podOf({ containers: [shell("echo attempt; exit 3")] }));
  const pod = await untilPod(
    bed,
    (found) =>
      mainOf(found)?.state.waiting?.reason === "CrashLoopBackOff" && (mainOf(found)?.restartCount ?? 0) >= 2,
  );
  t.match(mainOf(pod), { ready: false, lastState: { terminated: { exitCode: 3, reason: "Error" } } });
  t.match(
    mainOf(pod)?.state.waiting?.message,
    /^back-off \d+s restarting failed container=main pod=pod_default\(/,
  );
  t.match(conditionOf(pod, "Ready"), {
    status: "False",
    reason: "ContainersNotReady",
    message: "containers with unready status: [main]",
  });
  t.ok(
    (await bed.eventsOf("pod")).some((event) =>
      event.startsWith("BackOff: Back-off restarting failed container main"),
    ),
  );
  t.equal(await logText(bed, "?previous=true"), "attempt\n");
});

test("agent: a readiness probe decides on ready, a liveness probe restarts", async (t) => {
  const bed = await bedWithAgent(t);
  const probe = (file: string): object => ({
    periodSeconds: 1,
    failureThreshold: 1,
    exec: { command: ["test", "-e", file] },
  });
  await writeFile(join(bed.stateDir, "alive"), "");
  const container = shell("sleep 600", {
    workingDir: bed.stateDir,
    readinessProbe: probe("ready"),
    livenessProbe: probe("alive"),
  });
  await bed.create(RESOURCES.pod, podOf({ containers: [container] }));
  const before = await untilPod(bed, (found) => mainOf(found)?.state.running !== undefined);
  t.equal(isPodReady(before), false);
  await writeFile(join(bed.stateDir, "ready"), "");
  await untilPod(bed, isPodReady);
  const { rm } = await import("node:fs/promises");
  await rm(join(bed.stateDir, "ready"));
  await untilPod(bed, (found) => !isPodReady(found));
  await rm(join(bed.stateDir, "alive"));
  const restarted = await untilPod(bed, (found) => (mainOf(found)?.restartCount ?? 0) >= 1);
  t.equal(mainOf(restarted)?.lastState.terminated?.exitCode, 143);
  t.match(await bed.eventsOf("pod"), /Killing: Container main failed liveness probe, will be restarted/);
});

test("agent: an unknown image without a command waits with ErrImagePull, then ImagePullBackOff, and says what to do", async (t) => {
  const bed = await bedWithAgent(t);
  await bed.create(RESOURCES.pod, podOf({ containers: [{ name: "main", image: "acme/none:1" }] }));
  const first = await untilPod(bed, (found) => mainOf(found)?.state.waiting?.reason === "ErrImagePull");
  t.equal(first.status.phase, "Pending");
  t.match(
    mainOf(first)?.state.waiting?.message,
    /no local command is known for image "acme\/none:1".*--images/,
  );
  await untilPod(bed, (found) => mainOf(found)?.state.waiting?.reason === "ImagePullBackOff");
  t.equal(
    (await bed.eventsOf("pod")).filter((event) => event.startsWith("Failed: Error: no local command")).length,
    1,
  );
});

test("agent: a command, folder or ConfigMap that does not exist is a waiting reason with words", async (t) => {
  const bed = await bedWithAgent(t);
  const reasonOf = async (name: string, container: object): Promise<string> => {
    await bed.create(RESOURCES.pod, { metadata: { name }, spec: { containers: [container] } });
    const pod = await untilPod(bed, (found) => (mainOf(found)?.state.waiting?.message ?? "") !== "", name);
    const { reason, message } = mainOf(pod)?.state.waiting ?? {};
    return `${reason}: ${message}`;
  };
  t.match(
    await reasonOf("program", { name: "main", image: "any", command: ["no-such-program"] }),
    /^RunContainerError: exec: "no-such-program": executable file not found in \$PATH: install it/,
  );
  t.match(
    await reasonOf("folder", shell("true", { workingDir: "/no/such" })),
    /^CreateContainerError: workingDir \/no\/such is no directory/,
  );
  const env = [{ name: "X", valueFrom: { configMapKeyRef: { name: "later", key: "x" } } }];
  t.equal(
    await reasonOf("config", shell("sleep 600", { env })),
    'CreateContainerConfigError: configmap "later" not found',
  );
  await bed.create(RESOURCES.configMap, { metadata: { name: "later" }, data: { x: "1" } });
  t.ok(await untilPod(bed, isPodReady, "config"), "it starts once the ConfigMap is there");
});

test("agent: an image of the user's map runs its command, with tag and the manifest's args", async (t) => {
  const bed = await workloadBed(t);
  const file = join(bed.stateDir, "images.yaml");
  await writeFile(
    file,
    'images:\n- pattern: "acme/*"\n  command: [echo, "{tag}"]\n  args: [default]\n  env: {COLOUR: "{tag}"}\n',
  );
  const agent = await bed.startAgent({ images: await loadImages(file) });
  bed.server.provideLogs(agent.readLogs);
  const container = { name: "main", image: "docker.io/acme/tool:v7", args: ["$(COLOUR)!"] };
  await bed.create(RESOURCES.pod, podOf({ restartPolicy: "Never", containers: [container] }));
  await untilPod(bed, (found) => found.status.phase === "Succeeded");
  t.equal(await logText(bed), "v7 v7!\n");
});

test("agent: deletion runs preStop, sends SIGTERM, and kills what is left when the grace is over", async (t) => {
  const bed = await bedWithAgent(t);
  const script = "trap 'echo term; echo term >> trail' TERM; echo up; while :; do sleep 0.05; done";
  const container = shell(script, {
    workingDir: bed.stateDir,
    lifecycle: { preStop: { exec: { command: ["sh", "-c", "echo hook >> trail"] } } },
    readinessProbe: { periodSeconds: 1, exec: { command: ["true"] } },
  });
  await bed.create(RESOURCES.pod, podOf({ containers: [container] }));
  await untilPod(bed, isPodReady);
  const sinceMs = Date.now();
  await bed.client.delete(RESOURCES.pod, NAME);
  await bed.until(RESOURCES.pod, "pod", (found) => found === undefined);
  const { readFile, readdir } = await import("node:fs/promises");
  t.equal(await readFile(join(bed.stateDir, "trail"), "utf8"), "hook\nterm\n");
  t.ok(Date.now() - sinceMs >= 1_500, "the grace of 2 s was given");
  t.ok(Date.now() - sinceMs < 6_000, "and not much more");
  for (
    const deadlineMs = Date.now() + 3_000;
    Date.now() < deadlineMs && (await readdir(join(bed.stateDir, "pods"))).length > 0;
  )
    await new Promise((resolve) => setTimeout(resolve, 20));
  t.same(await readdir(join(bed.stateDir, "pods")), [], "its folder is gone");
});

test("agent: a pod that ignores PORT and meets a taken port gets an event that says what to do", async (t) => {
  const bed = await bedWithAgent(t);
  const { createServer } = await import("node:net");
  const other = createServer().listen(0, "127.0.0.1");
  t.teardown(() => other.close());
  await new Promise((resolve) => other.once("listening", resolve));
  const address = other.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  const script = `require("net").createServer().listen(${port}, "127.0.0.1")`;
  const container = {
    name: "main",
    image: "any",
    command: [NODE, "-e", script],
    ports: [{ containerPort: port }],
  };
  await bed.create(RESOURCES.pod, podOf({ containers: [container] }));
  await bed.untilList(RESOURCES.event, (events) => events.some(({ reason }) => reason === "PortNotHonoured"));
  t.match(
    (await bed.eventsOf("pod")).find((event) => event.startsWith("PortNotHonoured")),
    new RegExp(`declared port ${port} is taken on this machine.*environment variable PORT`),
  );
});

test("agent: logs are followed to the end, cut to their tail, and stamped with their time", async (t) => {
  const bed = await bedWithAgent(t);
  const script = "echo one; echo two; while ! test -e go; do sleep 0.05; done; echo three";
  await bed.create(
    RESOURCES.pod,
    podOf({ restartPolicy: "Never", containers: [shell(script, { workingDir: bed.stateDir })] }),
  );
  await untilPod(bed, (found) => mainOf(found)?.state.running !== undefined);
  const following = logText(bed, "?follow=true");
  await writeFile(join(bed.stateDir, "go"), "");
  t.equal(await following, "one\ntwo\nthree\n");
  await untilPod(bed, (found) => found.status.phase === "Succeeded");
  t.equal(await logText(bed, "?tailLines=1"), "three\n");
  t.match(await logText(bed, "?timestamps=true&tailLines=1"), /^\d{4}-\d\d-\d\dT[\d:.]+Z three\n$/);
  t.match(await logText(bed, "?previous=true"), /previous terminated container .* has not started/);
});

test("agent: a log of a pod that does not exist is refused with a code", async (t) => {
  const bed = await workloadBed(t);
  const agent = await bed.startAgent();
  await t.rejects(agent.readLogs({ namespace: "default", pod: "none" }), { code: NO_LOG });
});

test("agent: a pod for backends elsewhere starts nothing, checks each of them, and is ready while one answers", async (t) => {
  const bed = await bedWithAgent(t);
  await bed.startControllers();
  const [first, second] = await Promise.all([backend(t), backend(t)]);
  const annotations = { "weir.dev/endpoints": `127.0.0.1:${first.port}, 127.0.0.1:${second.port}` };
  const readinessProbe = { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 1, failureThreshold: 1 };
  await bed.create(RESOURCES.service, {
    metadata: { name: "web" },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  const endpoints = async (isWanted: (ready: readonly string[]) => boolean): Promise<readonly string[]> => {
    const readyOf = (slices: readonly KubeObject[]): readonly string[] =>
      slices.flatMap(({ endpoints: all, ports }) => (isReady(all) ? [String(portOf(ports))] : [])).sort();
    return readyOf(await bed.untilList(RESOURCES.endpointSlice, (slices) => isWanted(readyOf(slices))));
  };
  for (const name of ["pod", "twin"]) {
    const container = shell("sleep 600", { readinessProbe, ports: [{ containerPort: 8080 }] });
    await bed.create(RESOURCES.pod, {
      ...podOf({ containers: [container] }, { annotations, labels: { app: "web" } }),
      metadata: { name, annotations, labels: { app: "web" } },
    });
  }
  const both = [String(first.port), String(second.port)].sort();
  t.strictSame(
    await endpoints((ready) => ready.length === 2),
    both,
    "each once, though two pods stand for them",
  );
  const pod = await untilPod(bed, isPodReady);
  t.match(pod.status, { phase: "Running", podIP: "127.0.0.1", containerStatuses: [{ restartCount: 0 }] });
  t.equal(mainOf(pod)?.containerID, undefined, "no process");
  second.isHealthy = false;
  t.strictSame(await endpoints((ready) => ready.length === 1), [String(first.port)]);
  first.isHealthy = false;
  t.strictSame(await endpoints((ready) => ready.length === 0), []);
  t.match(mainOf(await untilPod(bed, (found) => !isPodReady(found))), { ready: false });
  first.isHealthy = true;
  t.strictSame(await endpoints((ready) => ready.length === 1), [String(first.port)], "it comes back");
  await bed.client.delete(RESOURCES.pod, NAME);
  t.equal(await bed.until(RESOURCES.pod, "pod", (found) => found === undefined), undefined);
  t.strictSame(
    await endpoints((ready) => ready.length === 1),
    [String(first.port)],
    "the twin stands for it",
  );
});

test("agent: endpoints that are no addresses are refused with words", async (t) => {
  const bed = await bedWithAgent(t);
  const annotations = { "weir.dev/endpoints": "db.example.com:5432" };
  await bed.create(RESOURCES.pod, podOf({ containers: [shell("sleep 600")] }, { annotations }));
  const pod = await untilPod(bed, (found) => mainOf(found)?.state.waiting?.message !== undefined);
  t.match(mainOf(pod)?.state.waiting, {
    reason: "InvalidEndpoints",
    message: /"db.example.com:5432" is no endpoint; write IPv4 addresses with ports/,
  });
  t.match((await bed.eventsOf("pod")).join("\n"), /^InvalidEndpoints: annotation weir.dev\/endpoints: /m);
});

/** A server that answers its health check as a test decides. */
async function backend(t: Test): Promise<{ readonly port: number; isHealthy: boolean }> {
  const state = { port: 0, isHealthy: true };
  const server = createServer((request, response) => {
    response.writeHead(state.isHealthy && request.url === "/healthz" ? 200 : 503).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => server.close());
  const address = server.address();
  state.port = typeof address === "object" && address !== null ? address.port : 0;
  return state;
}

function isReady(endpoints: unknown): boolean {
  // The server has validated the slice.
  return (endpoints as readonly { readonly conditions: { readonly ready: boolean } }[]).some(
    ({ conditions }) => conditions.ready,
  );
}

function portOf(ports: unknown): number | undefined {
  // As above.
  return (ports as readonly { readonly port: number }[])[0]?.port;
}
