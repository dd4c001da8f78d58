// `weir undo ROLLOUT [--to-revision N]`: bring a former pod template back, into the workload where workloadRef names one.
import { type Command, InvalidArgumentError } from "commander";
import { RESOURCES } from "../api/api.ts";
import type { Cli } from "./cli.ts";
import { type ClusterFlags, getOrFail, sayServer, withCluster, withClusterFlags } from "./cluster.ts";
import { rolloutName } from "./operate.ts";
import { templateHolderOf, undoPatch } from "./templates.ts";

interface UndoFlags extends ClusterFlags {
  readonly toRevision: number;
}

/** Adds the command. */
export function addUndo(program: Command, cli: Cli): void {
  const command = program
    .command("undo <rollout>")
    .description("bring back the pod template of a former revision")
    .option("--to-revision <number>", "the revision; 0 is the one before the newest", revision, 0);
  withClusterFlags(command).action((word: string, flags: UndoFlags) =>
    withCluster(cli, flags, async (connection) => {
      const { client, namespace } = connection;
      const name = rolloutName(word);
      const { signal } = cli;
      const rollout = await getOrFail(connection, RESOURCES.rollout, name, signal);
      const { type, name: holderName } = templateHolderOf(rollout);
      const holder = await getOrFail(connection, type, holderName, signal);
      const { items } = await client.list(RESOURCES.replicaSet, { namespace, signal });
      const patch = undoPatch(rollout, holder, items, flags.toRevision);
      sayServer(cli, connection);
      if (patch === undefined) {
        cli.out(`skipped rollback (current template already matches revision ${flags.toRevision})`);
        return;
      }
      await client.patch(type, { namespace, name: holderName }, patch, { signal });
      cli.out(`rollout '${name}' undo`);
    }),
  );
}

function revision(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("it must be a revision: 0, 1, 2 …");
}
