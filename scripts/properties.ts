// The property tests with as many runs as asked for: `npm run test:properties -- --runs 100000 [--seed 7] [--jobs 2] [FILES]`. Without --runs as
// `npm test` has them. A process for each file, `--jobs` of them at a time (default 1), as long as they take; says of each how long that was.
import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import { glob } from "node:fs/promises";
import { parseArgs } from "node:util";

/** One file's run. */
interface Outcome {
  readonly isHeld: boolean;
  /** What it printed; empty when that went straight to the terminal. */
  readonly output: string;
  readonly seconds: number;
}

const { values, positionals } = parseArgs({
  options: { runs: { type: "string" }, seed: { type: "string" }, jobs: { type: "string", default: "1" } },
  allowPositionals: true,
});
const settings = { ...setting("runs", values.runs), ...setting("seed", values.seed), TAP_TIMEOUT: "0" };
const jobs = Math.max(1, wholeNumber("jobs", values.jobs));
const files =
  positionals.length > 0 ? positionals : (await Array.fromAsync(glob("test/properties/*.test.ts"))).sort();
const left = [...files];
await Promise.all(Array.from({ length: jobs }, work));

/** Runs files as long as there are any. */
async function work(): Promise<void> {
  for (let file = left.shift(); file !== undefined; file = left.shift()) {
    if (jobs === 1) console.log(`# ${file}`);
    const { isHeld, output, seconds } = await runFile(file);
    if (jobs > 1) process.stdout.write(`# ${file}\n${output}`);
    console.log(`# ${file}: ${isHeld ? "held" : "BROKEN"}, ${seconds.toFixed(0)} s`);
    if (!isHeld) process.exitCode = 1;
  }
}

/** Its output is kept until its end when others run beside it. */
function runFile(file: string): Promise<Outcome> {
  const beganMs = performance.now();
  const stdio: StdioOptions = jobs === 1 ? "inherit" : ["inherit", "pipe", "inherit"];
  const env = { ...process.env, ...settings };
  const child: ChildProcess = spawn(process.execPath, [file], { stdio, env });
  const parts: Buffer[] = [];
  child.stdout?.on("data", (part: Buffer) => parts.push(part));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) =>
      resolve({
        isHeld: code === 0,
        output: Buffer.concat(parts).toString(),
        seconds: (performance.now() - beganMs) / 1000,
      }),
    );
  });
}

function setting(name: string, text: string | undefined): Record<string, string> {
  return text === undefined
    ? {}
    : { [`WEIR_PROPERTY_${name.toUpperCase()}`]: String(wholeNumber(name, text)) };
}

function wholeNumber(name: string, text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: a whole number is needed`);
  return Number(text);
}
