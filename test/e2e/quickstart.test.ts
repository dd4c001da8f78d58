// The quick start from end to end, as `npm start -- --exit` runs it: its figures, its exit code, what it leaves behind, and a second run on
// the same state.
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "tap";
import { run } from "../support/up.ts";

test("quick start: the good version is promoted, the bad one aborted, and nobody is harmed", {
  timeout: 200_000,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "weir-quickstart-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const story = ["src/weir.js", "quickstart", "--exit", "--state", join(folder, "state")];
  const { code, stdout, stderr } = await run([process.execPath, ...story], "", {}, 190_000);
  t.equal(code, 0, stderr);
  t.match(stdout, /^all went as told$/m);
  t.notMatch(stdout, /^not as told/m);

  const row = (phase: string): number[] => {
    const line = stdout.split("\n").find((text) => text.startsWith(phase)) ?? "";
    return line.slice(phase.length).trim().split(/\s+/).map(Number);
  };
  const [alone = [], good = [], bad = [], after = []] = [
    "version 1 alone",
    "version 2 rolled out",
    "version 3 rolled out",
    "after the abort",
  ].map(row);
  for (const sums of [alone, good, bad, after]) {
    t.equal(sums.length, 6);
    t.ok((sums[0] ?? 0) > 100, "requests were sent");
    t.equal(sums[1], 0, "every request got an answer");
  }
  t.strictSame([alone[2], good[2], after[2]], [0, 0, 0], "no errors but the bad version's");
  t.ok((bad[2] ?? 0) > 0, "the bad version's errors are seen");
  t.ok((good[3] ?? 0) > 0 && (good[4] ?? 0) > 0, "both versions answered while the good one was rolled out");
  t.equal(after[5], 0, "the bad version answers nothing after the abort");

  const seconds = Number(/last request on red: ([\d.]+) s/.exec(stdout)?.[1]);
  t.ok(seconds > 0 && seconds < 60, `back after ${seconds} s`);
  const times = [...stdout.matchAll(/^ {2}(green|red) +(\d+) % +(\d+) ms$/gm)].map(
    (match) => `${match[1]} ${match[2]}`,
  );
  t.strictSame(times, ["green 20", "green 50", "green 80", "green 100", "green 0", "red 20", "red 0"]);
  t.strictSame(await processesThatName(folder), [], "no process is left behind");
});

/** Command lines of processes that name a path, in their arguments or their environment. */
async function processesThatName(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const read = (file: string): Promise<string> => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "");
    const [command, environment] = await Promise.all([read("cmdline"), read("environ")]);
    if (Number(pid) !== process.pid && `${command}${environment}`.includes(path)) found.push(command);
  }
  return found;
}
