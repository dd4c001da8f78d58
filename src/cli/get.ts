// `weir get rollout|experiment NAME [-w]`: the Rollout or Experiment with its ReplicaSets, pods and analysis runs as a tree.
import type { Command } from "commander";
import { RESOURCES, type ResourceType } from "../api/api.ts";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import {
  type ClusterFlags,
  type Connected,
  getOrFail,
  kindNamed,
  withCluster,
  withClusterFlags,
} from "./cluster.ts";
import { type ExperimentParts, viewExperiment } from "./experimentview.ts";
import { renderExperiment, renderRollout } from "./render.ts";
import { type RolloutParts, viewRollout } from "./rolloutview.ts";
import { readExperimentParts, readParts, watchExperimentParts, watchParts } from "./watchrollout.ts";

const CLEAR_SCREEN = "\u001b[H\u001b[2J";

interface GetFlags extends ClusterFlags {
  readonly watch?: boolean;
}

/** Adds the command. */
export function addGet(program: Command, cli: Cli): void {
  const command = program
    .command("get <kind> <name>")
    .description("show a rollout or an experiment with its pods and analysis runs")
    .option("-w, --watch", "go on showing it as it changes");
  withClusterFlags(command).action((kind: string, name: string, flags: GetFlags) =>
    withCluster(cli, flags, async (connection) => {
      const type = kindNamed(kind);
      if (type !== RESOURCES.rollout && type !== RESOURCES.experiment) {
        throw new WeirError({
          code: CLI_ERRORS.usage,
          source: "user",
          message: `weir shows rollouts and experiments only (\`weir get rollout ${name}\`); for other kinds use kubectl with the same kubeconfig`,
        });
      }
      await getOrFail(connection, type, name, cli.signal);
      const pictures = picturesOf(type, connection, name, flags.watch === true, cli.signal);
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
  signal: AbortSignal,
): AsyncGenerator<readonly string[] | undefined> {
  const rollout = (parts: RolloutParts) => renderRollout(viewRollout(parts, Date.now()));
  const experiment = (parts: ExperimentParts) => renderExperiment(viewExperiment(parts, Date.now()));
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

/** On a terminal the picture is drawn in place and cut to what fits. */
function show(cli: Cli, lines: readonly string[], isInPlace: boolean): void {
  if (!isInPlace || cli.terminal === undefined) {
    for (const line of lines) cli.out(line);
    return;
  }
  const { columns, rows } = cli.terminal;
  const fitting = lines
    .slice(0, Math.max(rows - 1, 1))
    .map((line) => Array.from(line).slice(0, columns).join(""));
  cli.write(`${CLEAR_SCREEN}${fitting.join("\n")}\n`);
}
