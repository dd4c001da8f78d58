// `weir explain [rollout] NAME`: why it stands where it stands, what it waits for, and what comes next.
import type { Command } from "commander";
import { RESOURCES } from "../api/api.ts";
import { explainRollout } from "../controller/controller.ts";
import { systemClock } from "../lib/clock.ts";
import { WeirError } from "../lib/errors.ts";
import { wrapLine } from "../lib/wrap.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type ClusterFlags, getOrFail, kindNamed, withCluster, withClusterFlags } from "./cluster.ts";
import { rolloutName } from "./operate.ts";

/** Adds the command. */
export function addExplain(program: Command, cli: Cli): void {
  const command = program
    .command("explain <kind-or-rollout> [name]")
    .description("say why a rollout stands where it stands");
  withClusterFlags(command).action((first: string, second: string | undefined, flags: ClusterFlags) =>
    withCluster(cli, flags, async (connection) => {
      const name = second ?? rolloutName(first);
      if (second !== undefined && kindNamed(first) !== RESOURCES.rollout) {
        const message = `weir explains rollouts only: \`weir explain rollout ${name}\``;
        throw new WeirError({ code: CLI_ERRORS.usage, source: "user", message });
      }
      const { client, namespace } = connection;
      await getOrFail(connection, RESOURCES.rollout, name, cli.signal);
      const lines = await explainRollout({ client, clock: systemClock }, namespace, name, cli.signal);
      const columns = cli.terminal?.columns ?? Number.POSITIVE_INFINITY;
      for (const line of lines ?? []) for (const part of wrapLine(line, columns)) cli.out(part);
    }),
  );
}
