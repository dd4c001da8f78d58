// `weir retry [rollout] NAME`: start an aborted update again. `weir retry experiment NAME`: run an Experiment anew, as it is written now.
import type { Command } from "commander";
import { RESOURCES, readRollout } from "../api/api.ts";
import type { Cli } from "./cli.ts";
import {
  type ClusterFlags,
  getOrFail,
  kindNamed,
  sayServer,
  withCluster,
  withClusterFlags,
} from "./cluster.ts";
import { retryExperimentOperations, retryOperations } from "./operations.ts";

/** Adds the command. */
export function addRetry(program: Command, cli: Cli): void {
  const command = program
    .command("retry <kind-or-rollout> [name]")
    .description("start an aborted update, or an experiment, again");
  withClusterFlags(command).action((first: string, second: string | undefined, flags: ClusterFlags) =>
    withCluster(cli, flags, async (connection) => {
      const [prefix, afterSlash] = first.split("/");
      const named = second ?? afterSlash;
      const isExperiment = named !== undefined && kindNamed(prefix ?? "") === RESOURCES.experiment;
      const type = isExperiment ? RESOURCES.experiment : RESOURCES.rollout;
      const name = named ?? first;
      const { client, namespace } = connection;
      const object = await getOrFail(connection, type, name, cli.signal);
      sayServer(cli, connection);
      if (!isExperiment && readRollout(object).value.status.abort !== true)
        return cli.out(`nothing to retry: rollout '${name}' is not aborted`);
      for (const { subresource, body } of isExperiment ? retryExperimentOperations : retryOperations) {
        const target = { ...(subresource !== undefined && { subresource }), signal: cli.signal };
        await client.patch(type, { namespace, name }, { type: "merge", body }, target);
      }
      cli.out(`${type.singular} '${name}' retried`);
    }),
  );
}
