// Bad surroundings: a state folder in use, damaged, newer or full, a port that is taken, Ctrl-C at any time, a reader that goes away. A clear
// error that says what to do, nothing lost, no process left behind unasked.
import { spawn } from "node:child_process";
import { readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "tap";
import { lacking, requireTool } from "../support/require.ts";
import { run, startUp, stateFolder } from "../support/up.ts";
import { released, running, until, web } from "../support/web.ts";

const TIMEOUT_MS = 100_000;
const weir = (...args: readonly string[]) => run([process.execPath, "src/weir.js", ...args]);

test("bad input: a state folder that is in use, damaged or of a newer version is refused and left as it is", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const stateDir = await stateFolder(t);
  const up = await startUp(stateDir);
  await released(t, up);
  const second = await weir("up", "--state", stateDir);
  t.match(second, {
    code: 1,
    stderr: new RegExp(`in use by the process ${up.pid}: stop it with .weir down --state`),
  });
  const api = new URL((await readFile(up.kubeconfig, "utf8")).match(/server: (\S+)/)?.[1] ?? "");
  const other = await stateFolder(t);
  const taken = await weir("up", "--state", other, "--api-port", api.port);
  t.match(taken, { code: 1, stderr: /cannot listen on 127\.0\.0\.1:\d+: .*choose another port/ });
  t.match(await up.weir(["status", "web", "--no-watch"]), { code: 0 }, "the first one runs on");
  t.equal(await up.kill("SIGTERM"), 0);

  const version = join(stateDir, "version");
  const good = await readFile(version, "utf8");
  for (const [content, words] of [
    ["99\n", /of version 99, this weir knows up to \d+\. Nothing was changed\. Use the newer weir/],
    ["\u0000garbage", /version in the state folder .* is damaged .*Nothing was changed/],
  ] as const) {
    await writeFile(version, content);
    t.match(await weir("up", "--state", stateDir), { code: 1, stderr: words });
    t.match(await weir("down", "--state", stateDir), { code: 1, stderr: words });
    t.equal(await readFile(version, "utf8"), content, "it is left as it is");
  }
  await writeFile(version, good);
  await truncate(join(stateDir, "weir.db"), 5_000);
  const corrupt = await weir("up", "--state", stateDir);
  t.match(corrupt, {
    code: 1,
    stderr: /weir\.db in the state folder .* is damaged .*applying your manifests rebuilds the state/,
  });
});

test("bad input: a port that is taken is named in the log of the Gateway's proxy and in the rollout's status", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { up } = await running(t);
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(0, "127.0.0.1", resolve));
  t.teardown(() => blocker.close());
  const address = blocker.address();
  const port = typeof address === "object" ? address?.port : 0;
  const gateway = `apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n  gatewayClassName: weir\n  listeners: [{ name: http, protocol: HTTP, port: ${port} }]\n`;
  t.match(await up.weir(["apply", "-f", "-"], gateway), { code: 0 });
  const log = (): Promise<string> => podLog(up.stateDir);
  const words = await until("the log names the port", async () => {
    const text = await log();
    return text.includes("cannot listen") ? text : undefined;
  });
  t.match(
    words,
    new RegExp(`cannot listen on 127\\.0\\.0\\.1:${port}: .*choose another port or end what uses it`),
  );
  const service = (name: string): string =>
    `apiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { selector: { app: web }, ports: [{ port: 80, targetPort: 8080 }] }\n`;
  const route = `apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: { name: web }\nspec: { parentRefs: [{ name: edge }], rules: [{ backendRefs: [{ name: web, port: 80 }] }] }\n`;
  const canary =
    "stableService: web\n      canaryService: web-canary\n      trafficRouting: { plugins: { weir.dev/proxy: {} } }";
  const all = [service("web"), service("web-canary"), route, web({ canary })].join("---\n");
  t.match(await up.weir(["apply", "-f", "-"], all), { code: 0 });
  const status = await until("the status names the port", async () => {
    const { stdout } = await up.weir(["status", "web", "--no-watch"]);
    return stdout.includes("refused") ? stdout : undefined;
  });
  t.match(
    status,
    /^Progressing - waiting for the proxies .*; default\/gateway-edge refused: .*cannot listen on /,
  );
});

/** Logs of all containers of the state folder. */
async function podLog(stateDir: string): Promise<string> {
  const files = await readdir(join(stateDir, "pods"), { recursive: true });
  const logs = files.filter((name) => name.endsWith("/log"));
  return (await Promise.all(logs.map((name) => readFile(join(stateDir, "pods", name), "utf8")))).join("");
}

test("bad input: a full disk is told, nothing is lost, and writes go on when there is room", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const mount = await requireTool(t, "mount");
  if (mount === undefined) return;
  if (process.getuid?.() !== 0 || process.platform !== "linux")
    return lacking(t, "a small file system needs root");
  const folder = await stateFolder(t);
  t.equal((await run([mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder])).code, 0);
  t.teardown(() => run(["umount", "-l", folder]));
  const up = await startUp(folder);
  const configMap = (name: string, size: number): string =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: { name: ${name} }\ndata: { text: ${"x".repeat(size)} }\n`;
  t.match(await up.weir(["apply", "-f", "-"], configMap("first", 10)), { code: 0 });
  const filler = join(folder, "filler");
  await writeFile(filler, Buffer.alloc(6 * 1024 * 1024)).catch(() => undefined); // as much as there is room for
  const { code, stderr: refused } = await up.weir(["apply", "-f", "-"], configMap("second", 200_000));
  t.equal(code, 1);
  t.match(refused, /full|could not be read or written/, refused.slice(0, 300));
  t.match(refused, /nothing was changed/);
  t.match(await up.weir(["list", "rollouts"]), { code: 0 }, "it still answers");
  await rm(filler);
  t.match(await up.weir(["apply", "-f", "-"], configMap("last", 10)), { code: 0 }, "and writes again");
  t.equal(await up.kill("SIGTERM"), 0);
});

test("bad input: Ctrl-C ends weir up while it starts and while it runs, a second one at once; down ends what is left", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const stateDir = await stateFolder(t);
  for (const delayMs of [100, 300, 600]) {
    const child = spawn(process.execPath, ["src/weir.js", "up", "--state", stateDir], { stdio: "ignore" });
    const ended = new Promise((resolve) => child.once("exit", (code, signal) => resolve(code ?? signal)));
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    child.kill("SIGINT");
    // Before Node has read the first line of ours, the signal ends it as any program.
    t.match(String(await ended), /^(0|130|SIGINT)$/, `${delayMs} ms after the start`);
  }
  const up = await startUp(stateDir);
  // Its process does not end when it is asked to.
  const stubborn = web({ isProbed: false, command: `[sh, -c, "trap '' TERM; while :; do sleep 1; done"]` });
  t.match(await up.weir(["apply", "-f", "-"], stubborn.replace("PeriodSeconds: 2", "PeriodSeconds: 20")), {
    code: 0,
  });
  t.match(await up.weir(["status", "web", "--timeout", "30s"]), { code: 0 });
  const keepers = await containersOf(stateDir);
  t.equal(keepers.length, 1);
  process.kill(up.pid, "SIGINT");
  await until("it says that it stops", async () => (up.output().includes("stopping") ? true : undefined));
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.equal(await up.kill("SIGINT"), 130, "the second Ctrl-C does not wait for the pod");
  t.strictSame(await containersOf(stateDir), keepers, "which is left");
  const { code, stdout } = await weir("down", "--state", stateDir);
  t.match({ code, stdout }, { code: 0, stdout: `stopped ${stateDir}\n` });
  t.strictSame(await containersOf(stateDir), [], "and ended by weir down");
});

/** Process ids of what runs containers of the state folder. */
async function containersOf(stateDir: string): Promise<string[]> {
  const { stdout } = await run(["pgrep", "-f", `weir-container ${stateDir}/pods/.*`]);
  return stdout.split("\n").filter((line) => line !== "");
}

test("bad input: a reader that goes away ends a watch without a word", { timeout: TIMEOUT_MS }, async (t) => {
  const { up } = await running(t);
  await released(t, up);
  const command = `"${process.execPath}" src/weir.js get rollout web -w --state "${up.stateDir}" | head -n 3`;
  const piped = run(["sh", "-c", command]);
  // The pipe breaks at the next change.
  await until("the watch has ended", async () => {
    await up.weir(
      ["apply", "-f", "-"],
      web().replace("  name: web", `  name: web\n  labels: { at: "${Date.now()}" }`),
    );
    return Promise.race([piped, new Promise<undefined>((resolve) => setTimeout(resolve, 500, undefined))]);
  });
  const { stdout, stderr } = await piped;
  t.equal(stdout.split("\n").length, 4);
  t.equal(stderr, "");
});
