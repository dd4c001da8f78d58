// `weir set image ROLLOUT CONTAINER=IMAGE`: give a container another image, in the workload where workloadRef names one.
import { Argument, type Command, InvalidArgumentError } from "commander";
import { type KubeObject, RESOURCES, type ResourceType } from "../api/api.ts";
import { CLUSTER_ERRORS, type Patch } from "../cluster/client.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Cli } from "./cli.ts";
import {
  type ClusterFlags,
  type Connected,
  getOrFail,
  sayServer,
  withCluster,
  withClusterFlags,
} from "./cluster.ts";
import { rolloutName } from "./operate.ts";
import { imagePatch, templateHolderOf } from "./templates.ts";

/** How often the image is set on what the object has become meanwhile. */
const MAX_ATTEMPTS = 5;

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
        const { signal } = cli;
        const rollout = await getOrFail(connection, RESOURCES.rollout, rolloutName(word), signal);
        const { type, name } = templateHolderOf(rollout);
        const patchOf = (object: KubeObject): Patch => imagePatch(object, container, image);
        const holder = await getOrFail(connection, type, name, signal);
        patchOf(holder); // says what is wrong before the server is named
        sayServer(cli, connection);
        await setImage(connection, type, holder, patchOf, signal);
        cli.out(`${type.kind.toLowerCase()} "${name}" image updated`);
      }),
  );
}

/**
 * Patches the object that was read. Controllers write its status at any time, which changes the version that the patch names: then it is read anew.
 * Throws CONFLICT when it has changed each of MAX_ATTEMPTS times.
 */
export async function setImage(
  connection: Connected,
  type: ResourceType,
  holder: KubeObject,
  patchOf: (holder: KubeObject) => Patch,
  signal: AbortSignal,
): Promise<void> {
  const { client, namespace } = connection;
  const { name } = holder.metadata;
  let held = holder;
  for (let attempt = 1; ; attempt += 1) {
    try {
      await client.patch(type, { namespace, name }, patchOf(held), { signal });
      return;
    } catch (error) {
      if (attempt === MAX_ATTEMPTS || !isWeirError(error, CLUSTER_ERRORS.conflict)) throw error;
    }
    held = await getOrFail(connection, type, name, signal);
  }
}

function containerImage(text: string): readonly [string, string] {
  const [container = "", image = "", ...more] = text.split("=");
  if (container === "" || image === "" || more.length > 0)
    throw new InvalidArgumentError("it must be CONTAINER=IMAGE");
  return [container, image];
}
