// The shape of commands that ask one thing of one Rollout: read it, send the patches, say what was done and where.
import type { Command } from "commander";
import { RESOURCES, type Rollout, readRollout } from "../api/api.ts";
import type { Cli } from "./cli.ts";
import { type ClusterFlags, getOrFail, sayServer, withCluster, withClusterFlags } from "./cluster.ts";
import type { Operation } from "./operations.ts";

export interface OperationCommand {
  readonly name: string;
  readonly description: string;
  /** What to send, and the past participle for the message. */
  readonly plan: (
    rollout: Rollout,
    options: Readonly<Record<string, unknown>>,
  ) => { readonly operations: readonly Operation[]; readonly done: string };
}

/** Adds `weir NAME ROLLOUT`. */
export function addOperation(program: Command, cli: Cli, spec: OperationCommand): Command {
  const command = program.command(`${spec.name} <rollout>`).description(spec.description);
  return withClusterFlags(command).action(async (word: string, options: ClusterFlags) => {
    const name = rolloutName(word);
    await withCluster(cli, options, async (connection) => {
      const { client, namespace } = connection;
      const rollout = await getOrFail(connection, RESOURCES.rollout, name, cli.signal);
      const { operations, done } = spec.plan(readRollout(rollout).value, { ...options });
      sayServer(cli, connection);
      for (const { subresource, body } of operations) {
        const patch = { type: "merge", body } as const;
        const target = { ...(subresource !== undefined && { subresource }), signal: cli.signal };
        await client.patch(RESOURCES.rollout, { namespace, name }, patch, target);
      }
      cli.out(operations.length > 0 ? `rollout '${name}' ${done}` : nothingTo(spec.name, name));
    });
  });
}

/** What is said where there is no update to abort or to promote. */
export function nothingTo(verb: string, name: string): string {
  return `nothing to ${verb}: rollout '${name}' is not in the middle of an update`;
}

/** The name in `NAME` or `rollout/NAME`. */
export function rolloutName(word: string): string {
  return word.replace(/^(rollouts?|ro)\//, "");
}
