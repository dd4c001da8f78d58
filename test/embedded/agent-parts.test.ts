// Parts of the node agent on their own: expansion of variables, image names, addresses and ports, bounded logs, back-off in time.
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { createContainer } from "../../src/embedded/agent/container.ts";
import { commandLine, expand } from "../../src/embedded/agent/environment.ts";
import { defaultImages, findImage, IMAGES_INVALID, loadImages } from "../../src/embedded/agent/images.ts";
import { keepLog, readLog } from "../../src/embedded/agent/logs.ts";
import { allocate, NETWORK_EXHAUSTED } from "../../src/embedded/agent/network.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createManualClock } from "../support/clock.ts";

async function folder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "weir-parts-"));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  const stay = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(stay));
  return dir;
}

async function eventually(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadlineMs = Date.now() + 10_000; !(await isTrue()); ) {
    if (Date.now() > deadlineMs) throw new Error("it did not happen");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test("environment: variables expand as Kubernetes expands them", (t) => {
  const env = { A: "1", "B.C": "2", EMPTY: "" };
  t.equal(expand("$(A)-$(B.C)-$(EMPTY)-$(NONE)", env), "1-2--$(NONE)");
  t.equal(expand("$$(A) $$$(A) $A $(A $", env), "$(A) $1 $A $(A $");
  t.end();
});

test("environment: command and args override an image's as ENTRYPOINT and CMD do", (t) => {
  const image = { command: ["run"], args: ["default"] };
  t.same(commandLine({ name: "c" }, image, {}), ["run", "default"]);
  t.same(commandLine({ name: "c", args: ["$(A)"] }, image, { A: "x" }), ["run", "x"]);
  t.same(commandLine({ name: "c", command: ["own"] }, image, {}), ["own"]);
  t.same(commandLine({ name: "c", command: ["own"], args: [] }, image, {}), ["own"]);
  t.same(commandLine({ name: "c" }, undefined, {}), []);
  t.end();
});

test("images: names match with and without registry and tag; the tag is filled in", async (t) => {
  const entry = (pattern: string): object => ({
    pattern,
    command: ["run", "{tag}"],
    args: [],
    env: { IMAGE: "{image}" },
  });
  const map = [entry("acme/tool:v*"), entry("reg.io:5000/x/y"), entry("nginx")] as never;
  const commandOf = (image: string): readonly string[] | undefined => findImage(map, image)?.command;
  t.same(commandOf("docker.io/acme/tool:v1"), ["run", "v1"]);
  t.same(commandOf("acme/tool:w1"), undefined);
  t.same(commandOf("acme/tool"), undefined);
  t.same(commandOf("reg.io:5000/x/y"), ["run", "latest"]);
  t.same(commandOf("library/nginx:latest"), ["run", "latest"]);
  t.same(commandOf("evil-nginx"), undefined);
  t.equal(findImage(map, "acme/tool:v1")?.env.IMAGE, "acme/tool:v1");
  t.match(findImage(defaultImages(), "argoproj/rollouts-demo:blue"), { env: { VERSION: "blue" } });
  const dir = await folder(t);
  await writeFile(join(dir, "bad.yaml"), "images:\n- pattern: x\n  comand: [a]\n");
  await t.rejects(loadImages(join(dir, "bad.yaml")), {
    code: IMAGES_INVALID,
    message: /bad\.yaml: images\.0/,
  });
  await t.rejects(loadImages(join(dir, "none.yaml")), { code: IMAGES_INVALID });
});

test("network: ports are free and not given twice; addresses come from the range until it is used up", async (t) => {
  const containers = [{ name: "a", ports: [{ containerPort: 80 }, { containerPort: 81 }] }];
  const busy = createServer().listen(25_000);
  t.teardown(() => busy.close());
  await new Promise((resolve) => busy.once("listening", resolve));
  const taken = { ips: new Set<string>(), ports: new Set([25_001]) };
  const atBusy = (): number => (25_000 - 20_000) / 12_768;
  const given = await allocate({ kind: "loopback" }, containers, taken, atBusy);
  const ports = Object.values(given.ports);
  t.equal(given.podIp, "127.0.0.1");
  t.same(Object.keys(given.ports), ["80", "81"]);
  t.ok(
    ports.every((port) => port > 25_001 && port < 25_100),
    `${ports} follow the busy and the given one`,
  );
  t.equal(new Set(ports).size, 2);
  const netns = { kind: "netns", cidr: "10.244.7.0/30" } as const;
  t.same(await allocate(netns, containers, taken, () => 0), {
    podIp: "10.244.7.2",
    ports: { 80: 80, 81: 81 },
  });
  const full = { ips: new Set(["10.244.7.2"]), ports: new Set<number>() };
  await t.rejects(
    allocate(netns, [], full, () => 0),
    { code: NETWORK_EXHAUSTED },
  );
  await t.rejects(
    allocate({ kind: "netns", cidr: "pods" }, [], full, () => 0),
    { code: NETWORK_EXHAUSTED },
  );
});

async function text(lines: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks = await Array.fromAsync(lines);
  return Buffer.concat(chunks).toString("utf8");
}

test("logs: a full log moves to its older generation, both are read in order, old lines can be left out", async (t) => {
  const dir = await folder(t);
  const clock = createManualClock();
  const stop = keepLog(clock, dir, 20);
  t.teardown(stop);
  const sampled = async (count: number): Promise<void> => {
    await clock.advance(500);
    await eventually(async () => {
      const both = await Promise.all(
        ["log.1.times", "log.times"].map((name) => readFile(join(dir, name), "utf8").catch(() => "")),
      );
      return both.join("").split("\n").length - 1 >= count;
    });
  };
  await appendFile(join(dir, "log"), "first line, long enough\n");
  await sampled(1);
  await eventually(async () => (await readFile(join(dir, "log"), "utf8")) === "");
  await clock.advance(60_000);
  await appendFile(join(dir, "log"), "second\n");
  await eventually(() => clock.pending > 0);
  await sampled(2);
  t.equal(await text(readLog(clock, dir, {}, () => false)), "first line, long enough\nsecond\n");
  t.equal(await text(readLog(clock, dir, { sinceSeconds: 30 }, () => false)), "second\n");
  t.equal(await text(readLog(clock, dir, { tailLines: 1 }, () => false)), "second\n");
  t.equal(await text(readLog(clock, dir, { tailLines: 0 }, () => false)), "");
  const stamped = await text(readLog(clock, dir, { timestamps: true }, () => false));
  t.match(stamped, /^2026-01-01T00:00:00\.500Z first line, long enough\n2026-01-01T00:01:\S+Z second\n$/);
});

test("container: restarts at once, then after 10 s, 20 s and 40 s", async (t) => {
  const dir = await folder(t);
  // Processes are real, time is not: the clock starts where theirs stands.
  const clock = createManualClock(Date.now());
  const events: string[] = [];
  const go = join(dir, "go");
  const argv = ["sh", "-c", `while test -e ${go}; do sleep 0.02; done; exit 1`];
  const sandbox = { argv, cwd: dir, enter: () => ({ prefix: [], cwd: dir }), doneFile: undefined };
  const env = { PATH: process.env.PATH ?? "" };
  const runner = createContainer({
    clock,
    container: { name: "main", image: "any" },
    role: "main",
    podRestartPolicy: "Always",
    podLabel: "pod_default(uid)",
    podUid: "uid",
    dir,
    network: { podIp: "127.0.0.1", ports: {} },
    initialReason: "ContainerCreating",
    graceMs: 1000,
    backoffScale: 1,
    prepare: async () => ({ kind: "ready", argv, env, cwd: dir, sandbox, notes: [] }),
    record: (_type, reason) => events.push(reason),
    onChange: () => undefined,
  });
  t.teardown(() => runner.stop(0));
  await runner.recover();
  runner.start();
  const waiting = (): string => runner.status().state.waiting?.message?.split(" restarting")[0] ?? "";
  for (const [restarts, seconds] of [
    [1, 10],
    [2, 20],
    [3, 40],
  ] as const) {
    await eventually(() => waiting() === `back-off ${seconds}s` && runner.status().restartCount === restarts);
    await clock.advance((seconds - 2) * 1000);
    t.equal(runner.status().restartCount, restarts, `not before ${seconds} s`);
    if (restarts === 3) await writeFile(go, "");
    await clock.advance(4_000);
  }
  await eventually(() => runner.isRunning() && runner.status().restartCount === 4);
  t.equal(events.filter((reason) => reason === "BackOff").length, 3);
  t.match(runner.status(), { lastState: { terminated: { exitCode: 1, reason: "Error" } }, ready: true });
});

test("logs: without a sampler lines count as new", async (t) => {
  const dir = await folder(t);
  await writeFile(join(dir, "log"), "one\ntwo");
  t.equal(await text(readLog(systemClock, dir, { sinceSeconds: 5 }, () => false)), "one\ntwo");
  t.equal(await text(readLog(systemClock, join(dir, "none"), {}, () => false)), "");
});
