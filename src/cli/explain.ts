// `weir explain ROLLOUT`: why it stands where it stands, what it waits for, and what comes next.
import type { Command } from "commander";
import { RESOURCES } from "../api/api.ts";
import { explainRollout } from "../controller/controller.ts";
import { systemClock } from "../lib/clock.ts";
import { wrapLine } from "../lib/wrap.ts";
import type { Cli } from "./cli.ts";
import { type ClusterFlags, getOrFail, withCluster, withClusterFlags } from "./cluster.ts";

/** Adds the command. */
export function addExplain(program: Command, cli: Cli): void {
  const command = program
    .command("explain <rollout>")
    .description("say why a rollout stands where it stands");
  withClusterFlags(command).action((word: string, flags: ClusterFlags) =>
    withCluster(cli, flags, async (connection) => {
      const name = word.replace(/^(rollouts?|ro)\//, "");
      const { client, namespace } = connection;
      await getOrFail(connection, RESOURCES.rollout, name, cli.signal);
      const lines = await explainRollout({ client, clock: systemClock }, namespace, name, cli.signal);
      const columns = cli.terminal?.columns ?? Number.POSITIVE_INFINITY;
      for (const line of lines ?? []) for (const part of wrapLine(line, columns)) cli.out(part);
    }),
  );
}
