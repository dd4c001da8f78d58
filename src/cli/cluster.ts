// The way to a cluster: in kubectl's order, or by --state. It is never guessed, and commands that write say which server they wrote to.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import {
  apiVersionOf,
  CLUSTER_RESOURCES,
  type KubeObject,
  RESOURCES,
  type ResourceType,
} from "../api/api.ts";
import { type ClusterConnection, connectCluster } from "../cluster/client.ts";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";

export interface ClusterFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly namespace?: string;
  readonly state?: string;
}

/** Adds the flags that lead to a cluster. */
export function withClusterFlags(command: Command): Command {
  return command
    .option("--kubeconfig <file>", "kubeconfig to use, before $KUBECONFIG and ~/.kube/config")
    .option("--context <name>", "context of the kubeconfig")
    .option("-n, --namespace <name>", "namespace; default: the context's")
    .option("--state <dir>", "use the server that `weir up --state <dir>` runs");
}

export interface Connected extends ClusterConnection {
  /** The namespace that the command works in. */
  readonly namespace: string;
}

/** Runs `work` against the cluster that the flags lead to, and closes the connection after it. */
export async function withCluster<T>(
  cli: Cli,
  flags: ClusterFlags,
  work: (connection: Connected) => Promise<T>,
): Promise<T> {
  const kubeconfig =
    flags.state === undefined ? flags.kubeconfig : stateKubeconfig(flags.state, flags.kubeconfig);
  const connection = await connectCluster({
    env: cli.env,
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(flags.context !== undefined && { context: flags.context }),
  });
  try {
    return await work({ ...connection, namespace: flags.namespace ?? connection.namespace });
  } finally {
    await connection.close();
  }
}

/** Says which server a command has written to. */
export function sayServer(cli: Cli, connection: ClusterConnection): void {
  cli.err(
    `server ${connection.server}${connection.context === undefined ? "" : ` (context ${connection.context})`}`,
  );
}

/** An object that has to be there. */
export async function getOrFail(
  connection: Connected,
  type: ResourceType,
  name: string,
  signal: AbortSignal,
): Promise<KubeObject> {
  const ref = type.isNamespaced ? { namespace: connection.namespace, name } : { name };
  const object = await connection.client.get(type, ref, signal);
  if (object !== undefined) return object;
  const where = type.isNamespaced ? ` in namespace ${connection.namespace}` : "";
  throw new WeirError({
    code: CLI_ERRORS.notFound,
    source: "user",
    message: `there is no ${type.singular} "${name}"${where} on ${connection.server}`,
  });
}

/** The kind that a word of the command line means: singular, plural, short name or Kind. */
export function kindNamed(word: string): ResourceType | undefined {
  const wanted = word.toLowerCase();
  const types: readonly ResourceType[] = Object.values(RESOURCES);
  return types.find(
    (type) =>
      [type.singular, type.plural, type.kind.toLowerCase(), ...type.shortNames].includes(wanted) ||
      `${type.plural}.${type.group}` === wanted,
  );
}

/** The kind of a manifest, by its apiVersion and kind. */
export function kindOfManifest(apiVersion: string, kind: string): ResourceType | undefined {
  const types: readonly ResourceType[] = Object.values({ ...RESOURCES, ...CLUSTER_RESOURCES });
  return types.find((type) => type.kind === kind && apiVersionOf(type) === apiVersion);
}

function stateKubeconfig(state: string, kubeconfig: string | undefined): string {
  if (kubeconfig !== undefined) {
    throw new WeirError({
      code: CLI_ERRORS.usage,
      source: "user",
      message: "give --state or --kubeconfig, not both",
    });
  }
  const file = join(resolve(state), "kubeconfig");
  if (existsSync(file)) return file;
  throw new WeirError({
    code: CLI_ERRORS.usage,
    source: "user",
    message: `${file} does not exist: start the server with \`weir up --state ${state}\` first`,
  });
}
