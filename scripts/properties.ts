// The property tests with as many runs as asked for: `npm run test:properties -- --runs 100000 [--seed 7] [FILES]`. Without --runs as `npm test`
// has them. A file at a time, as long as it takes; says of each property how long it took.
import { spawn } from "node:child_process";
import { glob } from "node:fs/promises";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  options: { runs: { type: "string" }, seed: { type: "string" } },
  allowPositionals: true,
});

function number(name: string, text: string | undefined): Record<string, string> {
  if (text === undefined) return {};
  if (!/^\d+$/.test(text)) throw new Error(`--${name} ${text}: a whole number is needed`);
  return { [`WEIR_PROPERTY_${name.toUpperCase()}`]: text };
}

/** Runs one file; true when every property held. */
function held(file: string): Promise<boolean> {
  const env = {
    ...process.env,
    ...number("runs", values.runs),
    ...number("seed", values.seed),
    TAP_TIMEOUT: "0",
  };
  const child = spawn(process.execPath, [file], { stdio: "inherit", env });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code === 0));
  });
}

const files =
  positionals.length > 0 ? positionals : (await Array.fromAsync(glob("test/properties/*.test.ts"))).sort();
for (const file of files) {
  console.log(`# ${file}`);
  if (!(await held(file))) process.exitCode = 1;
}
