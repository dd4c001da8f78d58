// The commands of a document, run by bash as a reader would type them: in a copy of the checkout, in order, with a home folder of their own.
// Gateways get free ports instead of the documents'. What the document shows of the output is compared.

import { type ChildProcess, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import type { Test } from "tap";
import { requireKubectl } from "./kubectl.ts";
import { freePort } from "./ports.ts";
import { type CommandResult, run } from "./up.ts";
import { type Block, missingLines, readBlocks } from "./walkthrough.ts";

/** Ports of Gateways in documents and manifests. */
const GATEWAY_PORTS = ["8002", "8003", "8004", "8014", "8016"];
const READY_TIMEOUT_MS = 30_000;
const BLOCK_TIMEOUT_MS = 90_000;
const REPEAT_TIMEOUT_MS = 30_000;

/** Where the commands are run. */
export interface Scene {
  readonly checkout: string;
  readonly env: Readonly<Record<string, string>>;
  readonly withFreePorts: (text: string) => string;
  readonly background: ChildProcess[];
  /** Lines that set variables for all later commands. */
  exports: string;
}

/** Runs the blocks of a document as their marks say. */
export async function walk(t: Test, scene: Scene, document: string): Promise<void> {
  for (const block of readBlocks(await readFile(document, "utf8"))) await perform(t, scene, document, block);
}

/** A copy of the checkout with ports of its own, an empty home, and everything stopped in the end. */
export async function createScene(t: Test): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), "weir-typed-"));
  const checkout = join(folder, "weir");
  const ports = new Map<string, string>();
  for (const port of GATEWAY_PORTS) ports.set(port, String(await freePort()));
  const withFreePorts = (text: string): string =>
    text.replace(/(?<=port: |127\.0\.0\.1:)\d+\b/g, (port) => ports.get(port) ?? port);
  await mkdir(checkout);
  for (const name of ["package.json", "src", "node_modules"])
    await symlink(resolve(name), join(checkout, name));
  await cp("deploy/examples", join(checkout, "deploy/examples"), { recursive: true });
  for (const name of await readdir(join(checkout, "deploy/examples"), { recursive: true })) {
    const file = join(checkout, "deploy/examples", name);
    if (file.endsWith(".yaml")) await writeFile(file, withFreePorts(await readFile(file, "utf8")));
  }
  const { XDG_STATE_HOME, KUBECONFIG, ...inherited } = process.env;
  const scene: Scene = {
    checkout,
    env: { ...inherited, HOME: folder } as Record<string, string>, // no value of process.env is undefined
    withFreePorts,
    background: [],
    exports: "",
  };
  t.teardown(async () => {
    for (const child of scene.background) await endGroup(child);
    await shell(scene, "npm run -s weir -- down");
    await rm(folder, { recursive: true, force: true });
  });
  return scene;
}

async function perform(t: Test, scene: Scene, document: string, block: Block): Promise<void> {
  const { treatment } = block;
  const title = `${document}:${block.line}`;
  const script = scene.withFreePorts(block.script);
  if (treatment.kind === "skip") return void t.comment(`${title} is not run: ${treatment.reason}`);
  if (treatment.kind === "background") return startBackground(scene, script, treatment.until);
  if (treatment.kind === "run" && treatment.needs === "kubectl") {
    return void (await t.test(`${title} with kubectl`, async (t) => {
      const kubectl = await requireKubectl(t);
      if (kubectl !== undefined) expect(t, title, block, await shell(scene, script, dirname(kubectl)));
    }));
  }
  let result = await shell(scene, script);
  if (treatment.kind === "repeat") {
    const deadlineMs = performance.now() + REPEAT_TIMEOUT_MS;
    while (!result.stdout.includes(treatment.until) && performance.now() < deadlineMs)
      result = await shell(scene, script);
  }
  expect(t, title, block, result);
  for (const line of script.split("\n").filter((text) => text.startsWith("export ")))
    scene.exports += `${line}\n`;
}

function expect(t: Test, title: string, block: Block, { code, stdout, stderr }: CommandResult): void {
  t.equal(code, 0, `${title} ends well`, { stdout, stderr });
  t.strictSame(missingLines(block.promised, stdout), [], `${title} prints what is shown`, { stdout, stderr });
}

/** Runs commands as a reader would, one after the other; the first that fails ends them. */
function shell({ checkout, env, exports }: Scene, script: string, path?: string): Promise<CommandResult> {
  const PATH = path === undefined ? env.PATH : `${path}${delimiter}${env.PATH}`;
  const command = ["bash", "-euo", "pipefail", "-c", `cd '${checkout}'\n${exports}${script}`];
  return run(command, "", { ...env, PATH: PATH ?? "" }, BLOCK_TIMEOUT_MS);
}

/** Starts commands that go on, in a process group of their own, and waits for a word of theirs. */
export function startBackground(scene: Scene, script: string, until: string): Promise<void> {
  const child = spawn("bash", ["-c", script], {
    cwd: scene.checkout,
    env: scene.env,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  scene.background.push(child);
  let output = "";
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`${script}${why}:\n${output}`));
    const timer = setTimeout(() => fail(`did not say "${until}"`), READY_TIMEOUT_MS);
    const hear = (chunk: Buffer): void => {
      output += chunk.toString();
      if (!output.includes(until)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on("data", hear);
    child.stderr.on("data", hear);
    child.once("exit", (code) => fail(`ended with ${code}`));
  });
}

/** Ctrl-C, as a terminal sends it to all of a job's processes. */
async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-child.pid, "SIGINT");
  await ended;
}
