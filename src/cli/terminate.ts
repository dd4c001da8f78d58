// `weir terminate analysisrun|experiment NAME`: end a run early; what it has measured counts.
import { Argument, type Command } from "commander";
import { RESOURCES } from "../api/api.ts";
import type { Cli } from "./cli.ts";
import { type ClusterFlags, getOrFail, sayServer, withCluster, withClusterFlags } from "./cluster.ts";

const KINDS = { analysisrun: RESOURCES.analysisRun, experiment: RESOURCES.experiment } as const;

/** Adds the command. */
export function addTerminate(program: Command, cli: Cli): void {
  const command = program
    .command("terminate")
    .description("end an analysis run or an experiment early; what it has found counts")
    .addArgument(new Argument("<kind>", "what to end").choices(Object.keys(KINDS)))
    .argument("<name>");
  withClusterFlags(command).action((kind: keyof typeof KINDS, name: string, flags: ClusterFlags) =>
    withCluster(cli, flags, async (connection) => {
      const { client, namespace } = connection;
      const { signal } = cli;
      await getOrFail(connection, KINDS[kind], name, signal);
      sayServer(cli, connection);
      const patch = { type: "merge", body: { spec: { terminate: true } } } as const;
      await client.patch(KINDS[kind], { namespace, name }, patch, { signal });
      cli.out(`${kind} '${name}' terminated`);
    }),
  );
}
