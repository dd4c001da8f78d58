// Real processes: start, exit codes, signals, and finding them again after the agent that started them was killed.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { procTable, psTable } from "../../src/embedded/agent/proc.ts";
import {
  findProcess,
  type ProcessSpec,
  startProcess,
  TOKEN_VARIABLE,
} from "../../src/embedded/agent/process.ts";
import { systemClock } from "../../src/lib/clock.ts";

const deps = { clock: systemClock };

async function folder(t: Test): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), "weir-process-"));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  // An adopted process is no handle that keeps a program alive.
  const stay = setInterval(() => undefined, 1000);
  t.teardown(() => clearInterval(stay));
  return dir;
}

function spec(dir: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}): ProcessSpec {
  return { dir, token: `token-${dir}`, argv, env: { PATH: process.env.PATH ?? "", ...env }, cwd: tmpdir() };
}

test("process: arguments and environment arrive as they are, output and exit code are kept", async (t) => {
  const dir = join(await folder(t), "0");
  const script = 'printf "%s|" "$@"; echo "$WORD"; echo problem >&2; exit 7';
  const started = await startProcess(
    deps,
    spec(dir, ["sh", "-c", script, "x", "a b", "$(id)", "`id`", "'\"", ""], { WORD: "x  y" }),
  );
  t.equal((await started.exited).exitCode, 7);
  t.equal(await readFile(join(dir, "log"), "utf8"), "a b|$(id)|`id`|'\"||x  y\nproblem\n");
  const found = await findProcess(deps, dir);
  t.match(found, { kind: "exited", exit: { exitCode: 7 } });
});

test("process: a signal reaches the command alone and its death is told as 128 + n", async (t) => {
  const dir = await folder(t);
  const started = await startProcess(deps, spec(dir, ["sleep", "60"]));
  await started.signal("SIGTERM");
  t.equal((await started.exited).exitCode, 143);
});

test("process: what a command leaves behind in its group ends with it", async (t) => {
  const dir = await folder(t);
  const started = await startProcess(deps, spec(dir, ["sh", "-c", "sleep 60 & echo $!; exit 0"]));
  t.equal((await started.exited).exitCode, 0);
  const orphan = Number(await readFile(join(dir, "log"), "utf8"));
  t.ok(orphan > 1);
  await gone(t, orphan);
});

test("process: kill ends a command that ignores SIGTERM, with all its children", async (t) => {
  const dir = await folder(t);
  const script = 'trap "" TERM; sleep 60 & echo $!; while :; do sleep 0.05; done';
  const started = await startProcess(deps, spec(dir, ["sh", "-c", script]));
  const child = Number(await logged(dir, /^\d+\n/));
  await started.signal("SIGTERM");
  await started.kill();
  t.equal((await started.exited).exitCode, 137);
  await gone(t, child);
});

test("process: one started by a killed agent is found, watched and stopped by the next", async (t) => {
  const dir = await folder(t);
  const agent = join(dir, "agent.ts");
  const url = new URL("../../src/embedded/agent/process.ts", import.meta.url).href;
  const clockUrl = new URL("../../src/lib/clock.ts", import.meta.url).href;
  const attempt = join(dir, "0");
  await writeFile(
    agent,
    `import { startProcess } from ${JSON.stringify(url)};
     import { systemClock } from ${JSON.stringify(clockUrl)};
     const p = await startProcess({ clock: systemClock }, ${JSON.stringify(spec(attempt, ["sleep", "60"]))});
     console.log(p.pid);
     setInterval(() => {}, 1000);`,
  );
  const child = spawn(process.execPath, [agent], { stdio: ["ignore", "pipe", "inherit"] });
  const pid = await new Promise<number>((resolve) => child.stdout.once("data", (d) => resolve(Number(d))));
  child.kill("SIGKILL");
  await new Promise((resolve) => child.once("exit", resolve));
  const found = await findProcess(deps, attempt);
  t.equal(found.kind, "running");
  if (found.kind !== "running") return;
  t.equal(found.process.pid, pid);
  await found.process.signal("SIGTERM");
  t.equal(
    (await found.process.exited).exitCode,
    143,
    "the exit code of a process that is nobody's child is known",
  );
});

test("process: one whose pid was not recorded yet is found by its token", async (t) => {
  const dir = await folder(t);
  const started = await startProcess(deps, spec(dir, ["sleep", "60"]));
  await rm(join(dir, "run.json"));
  const found = await findProcess(deps, dir);
  t.equal(found.kind, "running");
  if (found.kind !== "running") return;
  t.equal(found.process.pid, started.pid);
  t.match(
    JSON.parse(await readFile(join(dir, "run.json"), "utf8")),
    { pid: started.pid },
    "and now it is recorded",
  );
  await found.process.kill();
  await started.exited;
});

test("process: an intent without a process was never started; a pid of somebody else is not adopted", async (t) => {
  const dir = await folder(t);
  t.same(await findProcess(deps, dir), { kind: "never" });
  await writeFile(join(dir, "intent.json"), JSON.stringify({ token: "none", startedAtMs: 5 }));
  t.same(await findProcess(deps, dir), { kind: "never" });
  await writeFile(
    join(dir, "run.json"),
    JSON.stringify({ pid: process.pid, start: "other", startedAtMs: 5 }),
  );
  t.match(await findProcess(deps, dir), { kind: "exited", startedAtMs: 5, exit: { exitCode: 137 } });
});

test("process table: /proc and ps agree on who lives and whom a variable marks", async (t) => {
  const dir = await folder(t);
  const started = await startProcess(deps, spec(dir, ["sleep", "60"]));
  const variable = `${TOKEN_VARIABLE}=token-${dir}`;
  for (const table of process.platform === "linux" ? [procTable, psTable] : [psTable]) {
    t.ok(await table.startOf(started.pid));
    t.equal(await table.startOf(started.pid), await table.startOf(started.pid));
    t.equal(await table.findLeader(variable), started.pid);
    t.equal(await table.findLeader(`${variable}-other`), undefined);
  }
  await started.kill();
  await started.exited;
  for (const table of process.platform === "linux" ? [procTable, psTable] : [psTable])
    t.equal(await table.startOf(started.pid), undefined);
});

async function logged(dir: string, pattern: RegExp): Promise<string> {
  for (const deadlineMs = Date.now() + 5_000; Date.now() < deadlineMs; ) {
    const text = await readFile(join(dir, "log"), "utf8").catch(() => "");
    if (pattern.test(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${pattern} was not logged`);
}

async function gone(t: Test, pid: number): Promise<void> {
  for (const deadlineMs = Date.now() + 5_000; Date.now() < deadlineMs; ) {
    if ((await (process.platform === "linux" ? procTable : psTable).startOf(pid)) === undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  t.fail(`process ${pid} still runs`);
}
