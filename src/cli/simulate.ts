// `weir simulate -f FILES --script SCRIPT`: runs a Rollout of the user's files in virtual time, through the decisions that the controller
// would make, with pods, metrics and users as the script says. Needs no server and changes nothing.
import { setImmediate } from "node:timers/promises";
import type { Command } from "commander";
import type { KubeObject } from "../api/api.ts";
import { WeirError } from "../lib/errors.ts";
import { namespaceOf, type SoFar, simulate } from "../simulate/simulate.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { lineOf } from "./lint.ts";
import { lintObjects } from "./lintfiles.ts";
import { manifestError, readObjects, readText } from "./manifests.ts";

interface SimulateFlags {
  readonly filename?: readonly string[];
  readonly script?: string;
  readonly rollout?: string;
  readonly timeline: boolean;
}

/** What happens without a script: another image, and a day. */
const PLAIN_SCRIPT = "image simulated:new\ntick 24h\n";
/** How long the simulation works before it is looked whether it is to end. */
const LOOK_MS = 50;

/** Adds the command. */
export function addSimulate(program: Command, cli: Cli): void {
  program
    .command("simulate")
    .description("run a Rollout of files in virtual time, with pods, metrics and users as a script says")
    .option("-f, --filename <path...>", "files, folders, or - for standard input")
    .option("--script <path>", "what happens, one command a line (default: a new image, and a day)")
    .option("--rollout <name>", "which Rollout (NAME or NAMESPACE/NAME), where the files hold several")
    .option("--no-timeline", "leave the timeline out at the end")
    .action((flags: SimulateFlags) => runSimulate(cli, flags));
}

async function runSimulate(cli: Cli, flags: SimulateFlags): Promise<void> {
  if (flags.filename === undefined)
    throw usage("say what to simulate: `weir simulate -f FILE --script SCRIPT`");
  if (flags.script === "-" && flags.filename.includes("-"))
    throw usage("standard input holds the files (`-f -`) or the script (`--script -`), not both");
  const read = (await readObjects(flags.filename, process.stdin, cli.signal)).flatMap(({ files }) => files);
  // What `weir apply` refuses would not run like this anywhere.
  const errors = lintObjects(read).filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw manifestError(`${errors.map(lineOf).join("\n")}\nnothing was simulated`);
  const objects = [
    ...read.flatMap((file) => file.objects.map(({ object }) => object)),
    ...read.flatMap((file) => file.foreign.flatMap(({ object }) => object ?? [])),
  ];
  const rollout = chosen(objects, flags.rollout);
  const { rows, soFar } = simulate(rollout, objects, await scriptOf(cli, flags.script));
  let ending = "";
  try {
    await show(cli, rows);
  } catch (error) {
    ending = `, broken off at ${soFar().clock}`;
    throw error;
  } finally {
    if (flags.timeline) showTimeline(cli, soFar(), ending);
  }
}

/** Prints rows as they come. A simulation never waits, so signals are looked for in between. */
async function show(cli: Cli, rows: Iterable<readonly string[]>): Promise<void> {
  let lookedAtMs = performance.now();
  for (const some of rows) {
    for (const row of some) cli.out(row);
    if (performance.now() - lookedAtMs < LOOK_MS) continue;
    await setImmediate();
    cli.signal.throwIfAborted();
    lookedAtMs = performance.now();
  }
}

function showTimeline(cli: Cli, { timeline, decisions }: SoFar, ending: string): void {
  if (timeline.length === 0) return;
  cli.out("");
  cli.out(`# timeline, ${decisions} decisions${ending}`);
  for (const line of timeline) cli.out(`# ${line}`);
}

async function scriptOf(cli: Cli, path: string | undefined): Promise<{ file: string; text: string }> {
  if (path === undefined) return { file: "script", text: PLAIN_SCRIPT };
  return readText(path, process.stdin, cli.signal);
}

/** The Rollout to simulate. `wanted`: its name, or NAMESPACE/NAME. */
function chosen(objects: readonly KubeObject[], wanted: string | undefined): KubeObject {
  // Versions of one Rollout in several files: as with apply, the last one counts.
  const rollouts = new Map(
    objects
      .filter(({ kind }) => kind === "Rollout")
      .map((rollout) => [`${namespaceOf(rollout)}/${rollout.metadata.name}`, rollout]),
  );
  const found = [...rollouts].filter(
    ([name, { metadata }]) => wanted === undefined || wanted === name || wanted === metadata.name,
  );
  const [first, ...others] = found;
  if (rollouts.size === 0) throw manifestError("the files hold no Rollout");
  if (first === undefined)
    throw manifestError(`no Rollout ${wanted} among ${[...rollouts.keys()].join(", ")}`);
  if (others.length > 0) throw usage(`say which with --rollout: ${found.map(([name]) => name).join(", ")}`);
  return first[1];
}

function usage(message: string): WeirError {
  return new WeirError({ code: CLI_ERRORS.usage, source: "user", message });
}
