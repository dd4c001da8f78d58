// `weir delete KIND NAME…` and `weir delete -f FILE`: deletes objects and, by default, waits until they are gone.
import type { Command } from "commander";
import type { ResourceType } from "../api/api.ts";
import { type Clock, sleep, systemClock } from "../lib/clock.ts";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import {
  type ClusterFlags,
  type Connected,
  kindNamed,
  sayServer,
  withCluster,
  withClusterFlags,
} from "./cluster.ts";
import { readManifests } from "./manifests.ts";

const POLL_MS = 200;
const WAIT_MS = 60_000;

interface DeleteFlags extends ClusterFlags {
  readonly filename?: readonly string[];
  readonly wait: boolean;
  readonly ignoreNotFound?: boolean;
}

interface Doomed {
  readonly type: ResourceType;
  readonly ref: { readonly namespace?: string; readonly name: string };
}

/** Adds the command. */
export function addDelete(program: Command, cli: Cli): void {
  const command = program
    .command("delete [kind] [names...]")
    .description("delete objects, by name or as manifests name them")
    .option(
      "-f, --filename <path...>",
      "manifests that name what to delete: files, folders, or - for standard input",
    )
    .option("--ignore-not-found", "objects that are not there are no error")
    .option("--no-wait", "do not wait until they are gone");
  withClusterFlags(command).action((kind: string | undefined, names: string[], flags: DeleteFlags) =>
    withCluster(cli, flags, async (connection) => {
      const doomed = await select(cli, kind, names, flags, connection.namespace);
      sayServer(cli, connection);
      for (const one of doomed) await remove(cli, connection, one, flags);
    }),
  );
}

async function select(
  cli: Cli,
  kind: string | undefined,
  names: readonly string[],
  flags: DeleteFlags,
  namespace: string,
): Promise<Doomed[]> {
  if (flags.filename !== undefined) {
    if (kind !== undefined) throw usage("give names or -f, not both");
    const manifests = await readManifests(flags.filename, process.stdin, cli.signal);
    return manifests
      .reverse()
      .map(({ object, type }) => doom(type, object.metadata.name, object.metadata.namespace ?? namespace));
  }
  if (kind === undefined) throw usage("say what to delete: `weir delete rollout web`, or -f FILE");
  const [word = "", slashed] = kind.split("/");
  const type = kindNamed(word);
  if (type === undefined) throw usage(`${word} is not a kind that weir handles`);
  const wanted = slashed === undefined ? names : [slashed, ...names];
  if (wanted.length === 0) throw usage(`name the ${type.plural} to delete`);
  return wanted.map((name) => doom(type, name, namespace));
}

function doom(type: ResourceType, name: string, namespace: string): Doomed {
  return { type, ref: type.isNamespaced ? { namespace, name } : { name } };
}

async function remove(
  cli: Cli,
  connection: Connected,
  { type, ref }: Doomed,
  flags: DeleteFlags,
): Promise<void> {
  const { client } = connection;
  const object = await client.get(type, ref, cli.signal);
  if (object === undefined) {
    if (flags.ignoreNotFound === true || flags.filename !== undefined) return;
    const message = `there is no ${type.singular} "${ref.name}" on ${connection.server}`;
    throw new WeirError({ code: CLI_ERRORS.notFound, source: "user", message });
  }
  const { uid } = object.metadata;
  await client.delete(type, ref, { signal: cli.signal, ...(uid !== undefined && { uid }) });
  if (flags.wait) await untilGone(cli, systemClock, connection, { type, ref }, uid);
  cli.out(`${type.singular} "${ref.name}" deleted`);
}

async function untilGone(
  cli: Cli,
  clock: Clock,
  { client }: Connected,
  { type, ref }: Doomed,
  uid: string | undefined,
): Promise<void> {
  const deadlineMs = clock.nowMs() + WAIT_MS;
  while (clock.nowMs() < deadlineMs && !cli.signal.aborted) {
    const object = await client.get(type, ref, cli.signal);
    if (object === undefined || object.metadata.uid !== uid) return;
    await sleep(clock, POLL_MS, cli.signal);
  }
  throw new WeirError({
    code: CLI_ERRORS.timeout,
    source: "user",
    message: `${type.singular} "${ref.name}" is marked for deletion and still there after ${WAIT_MS / 1000} s; its finalizers may hold it`,
  });
}

function usage(message: string): WeirError {
  return new WeirError({ code: CLI_ERRORS.usage, source: "user", message });
}
