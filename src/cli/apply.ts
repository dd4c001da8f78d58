// `weir apply -f FILE…`: checks manifests strictly, then creates or changes the objects by a three-way merge, as kubectl's client-side apply
// does, on either server. Nothing is sent unless every manifest is right.
import type { Command } from "commander";
import { formatPath, lint } from "../api/api.ts";
import { type ApplyResult, applyObject, statusOf } from "../cluster/client.ts";
import { isWeirError, WeirError } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";
import { CAPABILITIES } from "../routers/routers.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type ClusterFlags, type Connected, sayServer, withCluster, withClusterFlags } from "./cluster.ts";
import { type Manifest, manifestError, readStrictly } from "./manifests.ts";

interface ApplyFlags extends ClusterFlags {
  readonly filename?: readonly string[];
  readonly validate: boolean;
}

/** Adds the command. */
export function addApply(program: Command, cli: Cli): void {
  const command = program
    .command("apply")
    .description("create or change objects as manifests say")
    .option("-f, --filename <path...>", "files, folders, or - for standard input")
    .option("--no-validate", "send manifests that weir finds fault with");
  withClusterFlags(command).action(async (flags: ApplyFlags) => {
    if (flags.filename === undefined) {
      const message = "say what to apply: `weir apply -f FILE` (a folder, or - for standard input)";
      throw new WeirError({ code: CLI_ERRORS.usage, source: "user", message });
    }
    const { manifests, faults } = await readStrictly(flags.filename, process.stdin, cli.signal);
    const all = [...faults, ...(flags.validate ? faultsOf(manifests) : [])];
    if (all.length > 0) throw manifestError(`${all.join("\n")}\nnothing was applied`);
    await withCluster(cli, flags, (connection) => applyManifests(cli, connection, manifests));
  });
}

/** Every fault of every manifest: file, line, column, field, what is wrong, how to mend it. */
export function faultsOf(manifests: readonly Manifest[]): readonly string[] {
  return manifests.flatMap(({ object, locate }) =>
    lint(object, CAPABILITIES)
      .filter(({ isNote }) => isNote !== true)
      .map(({ path, message, mend, isKey }) => {
        const advice = mend === "" ? "" : ` (${mend})`;
        return `${locate(path, isKey ? "key" : "value")}: ${formatPath(path)}: ${message}${advice}`;
      }),
  );
}

/** Applies in order; the namespace is the object's own or the connection's. */
async function applyManifests(
  cli: Cli,
  connection: Connected,
  manifests: readonly Manifest[],
): Promise<readonly ApplyResult[]> {
  sayServer(cli, connection);
  const results: ApplyResult[] = [];
  for (const { object, type, locate } of manifests) {
    const namespace = object.metadata.namespace ?? connection.namespace;
    const placed = type.isNamespaced ? { ...object, metadata: { ...object.metadata, namespace } } : object;
    const result = await applyObject(connection.client, placed, { type, signal: cli.signal }).catch(
      (error: unknown) => {
        throw refusal(error, locate, manifests.length - results.length - 1);
      },
    );
    cli.out(
      `${type.singular}${type.group === "" ? "" : `.${type.group}`}/${object.metadata.name} ${result.result}`,
    );
    results.push(result);
  }
  return results;
}

/** A server's refusal, with the place of the field that it names and how much was not sent after it; other failures stay as they are. */
function refusal(error: unknown, locate: Manifest["locate"], left: number): unknown {
  if (!isWeirError(error) || error.source !== "user") return error;
  const details = statusOf(error)?.details;
  const [cause]: unknown[] = isObject(details) && Array.isArray(details.causes) ? details.causes : [];
  const field = isObject(cause) && typeof cause.field === "string" ? cause.field : "";
  const path = field.split(/[.[\]]+/).filter((part) => part !== "");
  const where = locate(path.map((part) => (/^\d+$/.test(part) ? Number(part) : part)));
  const rest = left === 0 ? "" : `\nnot applied either: ${left} after it`;
  const { code, source, retry, context } = error;
  return new WeirError({
    code,
    source,
    retry,
    context,
    cause: error,
    message: `${where}: ${error.message}${rest}`,
  });
}
