// `weir get rollout NAME [-w]`: the Rollout with its revisions, ReplicaSets, pods and analysis runs as a tree.
import type { Command } from "commander";
import { RESOURCES } from "../api/api.ts";
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
import { renderRollout } from "./render.ts";
import { type RolloutParts, viewRollout } from "./rolloutview.ts";
import { readParts, watchParts } from "./watchrollout.ts";

const CLEAR_SCREEN = "\u001b[H\u001b[2J";

interface GetFlags extends ClusterFlags {
  readonly watch?: boolean;
}

/** Adds the command. */
export function addGet(program: Command, cli: Cli): void {
  const command = program
    .command("get <kind> <name>")
    .description("show a rollout with its revisions, pods and analysis runs")
    .option("-w, --watch", "go on showing it as it changes");
  withClusterFlags(command).action((kind: string, name: string, flags: GetFlags) =>
    withCluster(cli, flags, async (connection) => {
      if (kindNamed(kind) !== RESOURCES.rollout) {
        throw new WeirError({
          code: CLI_ERRORS.usage,
          source: "user",
          message: `weir shows rollouts only (\`weir get rollout ${name}\`); for other kinds use kubectl with the same kubeconfig`,
        });
      }
      await getOrFail(connection, RESOURCES.rollout, name, cli.signal);
      if (flags.watch !== true) {
        show(cli, await readParts(connection.client, connection.namespace, name, cli.signal), false);
        return;
      }
      await watch(cli, connection, name);
    }),
  );
}

async function watch(cli: Cli, { client, namespace }: Connected, name: string): Promise<void> {
  for await (const parts of watchParts(client, namespace, name, cli.signal)) {
    if (cli.signal.aborted) return;
    show(cli, parts, cli.terminal !== undefined);
    if (parts === undefined) return cli.err(`rollout "${name}" is gone`);
    if (cli.terminal === undefined) cli.out("");
  }
}

/** On a terminal the picture is drawn in place and cut to what fits. */
function show(cli: Cli, parts: RolloutParts | undefined, isInPlace: boolean): void {
  if (parts === undefined) return;
  const lines = renderRollout(viewRollout(parts, Date.now()));
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
