// Reads kubeconfig files as kubectl does: a list of files is merged, the first that sets a value wins, relative paths count from
// the file that holds them. Decides nothing about sockets; unknown fields are left alone.
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { messageOf, WeirError } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import { CLUSTER_ERRORS } from "./errors.ts";

type Fields = Readonly<Record<string, unknown>>;

export interface Kubeconfig {
  /** The files that were read, for messages. */
  readonly files: readonly string[];
  readonly currentContext: string | undefined;
  readonly contexts: ReadonlyMap<string, Fields>;
  readonly clusters: ReadonlyMap<string, Fields>;
  readonly users: ReadonlyMap<string, Fields>;
}

/** The cluster and user of one context. */
export interface ChosenContext {
  readonly name: string;
  /** Default `default`. */
  readonly namespace: string;
  readonly cluster: Fields;
  readonly user: Fields;
  /** Names, as in the kubeconfig. */
  readonly clusterName: string;
  readonly userName: string | undefined;
}

/** Fields of clusters and users that name a file. */
const PATH_FIELDS = ["certificate-authority", "client-certificate", "client-key", "tokenFile"];

/** Reads and merges. Files that do not exist are left out when `isListed`; otherwise, and when none is left, that is an error. */
export async function readKubeconfig(files: readonly string[], isListed: boolean): Promise<Kubeconfig> {
  const read: { file: string; config: Fields }[] = [];
  for (const file of files) {
    const config = await readOne(file, isListed);
    if (config !== undefined) read.push({ file, config });
  }
  if (read.length === 0) throw configError(`none of the kubeconfig files exists: ${files.join(", ")}`);
  const merged = (list: string, item: string): Map<string, Fields> => {
    const byName = new Map<string, Fields>();
    for (const { file, config } of read) {
      for (const entry of entriesOf(config[list], item, file))
        if (!byName.has(entry.name)) byName.set(entry.name, entry.fields);
    }
    return byName;
  };
  return {
    files: read.map(({ file }) => file),
    currentContext: read.map(({ config }) => config["current-context"]).find(isText),
    contexts: merged("contexts", "context"),
    clusters: merged("clusters", "cluster"),
    users: merged("users", "user"),
  };
}

/** The context asked for, or the current one. Throws `config` with the names there are when it is missing. */
export function chooseContext(config: Kubeconfig, wanted: string | undefined): ChosenContext {
  const where = `in ${config.files.join(", ")}`;
  const name = wanted ?? config.currentContext;
  if (name === undefined)
    throw configError(`no current-context ${where}: give --context (${namesOf(config.contexts)})`);
  const context = config.contexts.get(name);
  if (context === undefined)
    throw configError(`no context ${JSON.stringify(name)} ${where}; there are: ${namesOf(config.contexts)}`);
  const clusterName = isText(context.cluster) ? context.cluster : "";
  const cluster = config.clusters.get(clusterName);
  if (cluster === undefined)
    throw configError(
      `context ${JSON.stringify(name)} names the cluster ${JSON.stringify(clusterName)}, which is not ${where}`,
    );
  const userName = isText(context.user) ? context.user : undefined;
  const user = userName === undefined ? {} : config.users.get(userName);
  if (user === undefined)
    throw configError(
      `context ${JSON.stringify(name)} names the user ${JSON.stringify(userName)}, which is not ${where}`,
    );
  const namespace = isText(context.namespace) ? context.namespace : "default";
  return { name, namespace, cluster, user, clusterName, userName };
}

/** A PEM value from `<field>-data` (base64) or from the file that `<field>` names; undefined when neither is set. */
export async function readPem(fields: Fields, field: string): Promise<string | undefined> {
  const data = fields[`${field}-data`];
  if (isText(data)) return Buffer.from(data, "base64").toString("utf8");
  const path = fields[field];
  return isText(path) ? readNamed(path, field) : undefined;
}

/** An error of the kubeconfig: what it lacks and where. */
export function configError(message: string, cause?: unknown): WeirError {
  return new WeirError({
    code: CLUSTER_ERRORS.config,
    source: "user",
    message,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Narrows to a text that is not empty. */
export function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

async function readOne(file: string, isListed: boolean): Promise<Fields | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    const isMissing = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (isMissing && isListed) return undefined;
    throw configError(
      isMissing
        ? `there is no kubeconfig ${file}`
        : `cannot read the kubeconfig ${file}: ${messageOf(error)}`,
      error,
    );
  }
  const { parse } = await import("yaml");
  let config: unknown;
  try {
    config = parse(text);
  } catch (error) {
    throw configError(`the kubeconfig ${file} is no YAML: ${messageOf(error)}`, error);
  }
  if (config === null) return {};
  if (!isObject(config)) throw configError(`the kubeconfig ${file} is no mapping`);
  return config;
}

function entriesOf(list: unknown, item: string, file: string): { name: string; fields: Fields }[] {
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry: unknown) => {
    if (!isObject(entry) || !isText(entry.name)) return [];
    const fields = entry[item];
    return [{ name: entry.name, fields: isObject(fields) ? withAbsolutePaths(fields, dirname(file)) : {} }];
  });
}

function withAbsolutePaths(fields: Fields, folder: string): Fields {
  const absolute: Record<string, unknown> = { ...fields };
  for (const field of PATH_FIELDS) {
    const path = fields[field];
    if (isText(path)) absolute[field] = resolve(folder, path);
  }
  return absolute;
}

async function readNamed(path: string, field: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw configError(`cannot read ${field} ${path} of the kubeconfig: ${messageOf(error)}`, error);
  }
}

function namesOf(map: ReadonlyMap<string, Fields>): string {
  return map.size === 0 ? "none" : [...map.keys()].join(", ");
}
