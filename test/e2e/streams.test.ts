// Commands and what is around them: a reader that goes away, a signal in the middle, a standard input that stays open.
import { spawn } from "node:child_process";
import { test } from "tap";
import { stringify } from "yaml";
import { rolloutManifest } from "../../src/simulate/manifest.ts";
import { AS_USER, startUp, stateFolder } from "../support/up.ts";

const LAUNCHER = "src/weir.js";
const MANY = 40;
const configMap = (index: number): string =>
  stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: `many-${index}` } });
const FILES = Array.from({ length: MANY }, (_, index) => configMap(index)).join("---\n");

/** Starts `weir ARGS`; `ended` resolves with its exit code, null after a signal that it did not take. */
function start(args: readonly string[]) {
  const child = spawn("env", [...AS_USER, process.execPath, LAUNCHER, ...args]);
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  child.stdin.on("error", () => undefined);
  return { child, ended };
}

test("a closed pipe: what writes goes on to the end", async (t) => {
  const up = await startUp(await stateFolder(t));
  const cluster = ["--state", up.stateDir];
  const unread = async (...args: readonly string[]): Promise<number | null> => {
    const { child, ended } = start([...args, ...cluster]);
    child.stdout.destroy();
    child.stdin.end(FILES);
    return ended;
  };
  t.equal(await unread("apply", "-f", "-"), 0);
  const again = await up.weir(["apply", "-f", "-"], FILES);
  t.equal(again.stdout.split("\n").filter((line) => line.endsWith(" unchanged")).length, MANY);
  t.equal(await unread("delete", "-f", "-"), 0);
  const anew = await up.weir(["apply", "-f", "-"], FILES);
  t.equal(anew.stdout.split("\n").filter((line) => line.endsWith(" created")).length, MANY);
});

test("status: a wait that is interrupted is no success", async (t) => {
  const up = await startUp(await stateFolder(t));
  const paused = rolloutManifest({ spec: { replicas: 0, paused: true } });
  t.equal((await up.weir(["apply", "-f", "-"], stringify(paused))).code, 0);
  const { name, namespace = "default" } = paused.metadata;
  const { child, ended } = start(["status", name, "-n", namespace, "--state", up.stateDir]);
  await new Promise((resolve) => child.stdout.once("data", resolve));
  child.kill("SIGTERM");
  t.equal(await ended, 130);
});

for (const command of ["lint", "apply", "simulate"])
  test(`${command} -f -: a signal ends it while standard input is open`, async (t) => {
    const { child, ended } = start([command, "-f", "-"]);
    t.teardown(() => child.kill("SIGKILL"));
    // More than buffers hold: once it is written, the command is reading.
    await new Promise((resolve) => child.stdin.write("# wait\n".repeat(1_000_000), resolve));
    child.kill("SIGTERM");
    t.equal(await ended, 130);
  });
