// `weir get rollout|experiment NAME [-w]`: the Rollout or Experiment with its ReplicaSets, pods and analysis runs as a tree, or itself (`-o`).
// Without a name: all of them, as `weir list` shows them.
import type { Command } from "commander";
import { RESOURCES, type ResourceType } from "../api/api.ts";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type Connected, getOrFail, kindNamed, withCluster, withClusterFlags } from "./cluster.ts";
import { type ExperimentParts, viewExperiment } from "./experimentview.ts";
import { type ListFlags, listObjects } from "./list.ts";
import { printObject, withOutputFlag } from "./output.ts";
import { renderExperiment, renderRollout } from "./render.ts";
import { type RolloutParts, viewRollout } from "./rolloutview.ts";
import { readExperimentParts, readParts, watchExperimentParts, watchParts } from "./watchrollout.ts";

const CLEAR_SCREEN = "\u001b[H\u001b[2J";

interface GetFlags extends ListFlags {
  readonly watch?: boolean;
}

/** Adds the command. */
export function addGet(program: Command, cli: Cli): void {
  const command = program
    .command("get <kind> [name]")
    .description("show a rollout or an experiment with its pods and analysis runs; without a name list all")
    .option("-w, --watch", "go on showing it as it changes")
    .option("-A, --all-namespaces", "without a name: of all namespaces");
  withOutputFlag(withClusterFlags(command)).action(
    (word: string, given: string | undefined, flags: GetFlags) =>
      withCluster(cli, flags, async (connection) => {
        const { kind, name } = named(word, given);
        const type = kindNamed(kind);
        if (type !== RESOURCES.rollout && type !== RESOURCES.experiment)
          throw usage(
            `weir shows rollouts and experiments only (\`weir get rollout ${name ?? "NAME"}\`); for other kinds use kubectl with the same kubeconfig`,
          );
        if (flags.watch === true && (name === undefined || flags.output !== undefined))
          throw usage("--watch shows one object as it changes: give a name, and no --output");
        if (name === undefined) return listObjects(cli, connection, type, flags);
        const object = await getOrFail(connection, type, name, cli.signal);
        if (flags.output !== undefined) return printObject(cli, type, object, flags.output);
        const pictures = picturesOf(type, connection, name, flags.watch === true, cli);
        for await (const lines of pictures) {
          if (cli.signal.aborted) return;
          show(cli, lines ?? [], flags.watch === true && cli.terminal !== undefined);
          if (lines === undefined) return cli.err(`${type.singular} "${name}" is gone`);
          if (flags.watch === true && cli.terminal === undefined) cli.out("");
        }
      }),
  );
}

/** The lines to show: once, or now and after every change; undefined when the object is gone. */
async function* picturesOf(
  type: ResourceType,
  { client, namespace }: Connected,
  name: string,
  isWatched: boolean,
  { signal, terminal }: Cli,
): AsyncGenerator<readonly string[] | undefined> {
  const rollout = (parts: RolloutParts) => renderRollout(viewRollout(parts, Date.now()), terminal?.columns);
  const experiment = (parts: ExperimentParts) =>
    renderExperiment(viewExperiment(parts, Date.now()), terminal?.columns);
  if (type === RESOURCES.rollout) {
    if (!isWatched) return yield map(await readParts(client, namespace, name, signal), rollout);
    for await (const parts of watchParts(client, namespace, name, signal)) yield map(parts, rollout);
    return;
  }
  if (!isWatched) return yield map(await readExperimentParts(client, namespace, name, signal), experiment);
  for await (const parts of watchExperimentParts(client, namespace, name, signal))
    yield map(parts, experiment);
}

function map<T, R>(value: T | undefined, change: (value: T) => R): R | undefined {
  return value === undefined ? undefined : change(value);
}

/** `rollout web` and `rollout/web` mean the same. */
function named(word: string, given: string | undefined): { readonly kind: string; readonly name?: string } {
  const [kind = "", name = given] = word.split("/");
  return { kind, ...(name !== undefined && { name }) };
}

function usage(message: string): WeirError {
  return new WeirError({ code: CLI_ERRORS.usage, source: "user", message });
}

/** On a terminal the picture, which is as wide as that, is drawn in place; lines for which there is no room are left out. */
function show(cli: Cli, lines: readonly string[], isInPlace: boolean): void {
  if (!isInPlace || cli.terminal === undefined) {
    for (const line of lines) cli.out(line);
    return;
  }
  const fitting = lines.slice(0, Math.max(cli.terminal.rows - 1, 1));
  cli.write(`${CLEAR_SCREEN}${fitting.join("\n")}\n`);
}
