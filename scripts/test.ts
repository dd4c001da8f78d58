// The test command: types, lint, format and every test file, in that order, closing with one plain line
// "N passed, N failed, N skipped" (the counts are assertions); before it, all that failed once more.
// `--quick` leaves the slow suites out (e2e, crash, examples).
// Further arguments are test files and replace the default selection; the static checks are then left out.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { Failures } from "./failures.ts";

const SLOW = /^test\/((e2e|crash)\/|(examples|readme)\.)/;
const CHECKS: readonly (readonly [string, readonly string[]])[] = [
  ["types", ["npm", "run", "-s", "typecheck"]],
  ["lint and format", ["npm", "run", "-s", "lint"]],
];

function run(command: readonly string[], onLine: (line: string) => void): Promise<number> {
  const [name = "", ...args] = command;
  const child = spawn(name, args, { stdio: ["ignore", "pipe", "inherit"] });
  createInterface({ input: child.stdout }).on("line", onLine);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code ?? 1));
  });
}

async function testFiles(isQuick: boolean): Promise<string[]> {
  const { glob } = await import("node:fs/promises");
  const files = await Array.fromAsync(glob("test/**/*.test.ts"));
  return files.filter((file) => !(isQuick && SLOW.test(file))).sort();
}

async function main(): Promise<number> {
  const args = process.argv.slice(2);
  const named = args.filter((arg) => !arg.startsWith("--"));
  let failedChecks = 0;
  if (named.length === 0) {
    for (const [name, command] of CHECKS) {
      const code = await run(command, (line) => console.log(line));
      console.log(`${code === 0 ? "ok" : "not ok"} - ${name}`);
      if (code !== 0) failedChecks += 1;
    }
  }
  const files = named.length > 0 ? named : await testFiles(args.includes("--quick"));
  let totals = "";
  const failures = new Failures();
  const code = await run(["tap", "run", "--reporter=tap", ...files], (line) => {
    console.log(line);
    failures.add(line);
    if (/^# \{ total: \d+/.test(line)) totals = line;
  });
  const count = (key: string): number => Number(new RegExp(`${key}: (\\d+)`).exec(totals)?.[1] ?? 0);
  const failedTests = count("fail") + (code !== 0 && count("fail") === 0 ? 1 : 0);
  const failed = failedTests + failedChecks;
  for (const line of failures.lines()) console.log(line);
  console.log(`${count("pass")} passed, ${failed} failed, ${count("skip") + count("todo")} skipped`);
  return failed > 0 ? 1 : 0;
}

process.exitCode = await main();
