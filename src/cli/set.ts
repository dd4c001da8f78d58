// `weir set image ROLLOUT CONTAINER=IMAGE`: give a container another image, in the workload where workloadRef names one.
import { Argument, type Command, InvalidArgumentError } from "commander";
import { RESOURCES } from "../api/api.ts";
import type { Cli } from "./cli.ts";
import { type ClusterFlags, getOrFail, sayServer, withCluster, withClusterFlags } from "./cluster.ts";
import { rolloutName } from "./operate.ts";
import { imagePatch, templateHolderOf } from "./templates.ts";

/** Adds the command. */
export function addSet(program: Command, cli: Cli): void {
  const command = program
    .command("set")
    .description("give a container of a rollout another image")
    .addArgument(new Argument("<field>", "what to set").choices(["image"]))
    .argument("<rollout>")
    .argument("<container=image>", "`*` is every container", containerImage);
  withClusterFlags(command).action(
    (_field: string, word: string, [container, image]: readonly [string, string], flags: ClusterFlags) =>
      withCluster(cli, flags, async (connection) => {
        const { client, namespace } = connection;
        const { signal } = cli;
        const rollout = await getOrFail(connection, RESOURCES.rollout, rolloutName(word), signal);
        const { type, name } = templateHolderOf(rollout);
        const holder = await getOrFail(connection, type, name, signal);
        const patch = imagePatch(holder, container, image);
        sayServer(cli, connection);
        await client.patch(type, { namespace, name }, patch, { signal });
        cli.out(`${type.kind.toLowerCase()} "${name}" image updated`);
      }),
  );
}

function containerImage(text: string): readonly [string, string] {
  const [container = "", image = "", ...more] = text.split("=");
  if (container === "" || image === "" || more.length > 0)
    throw new InvalidArgumentError("it must be CONTAINER=IMAGE");
  return [container, image];
}
