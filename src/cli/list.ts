// `weir list rollouts|experiments`: one line each, with Argo's columns.
import type { Command } from "commander";
import {
  type KubeObject,
  RESOURCES,
  type ResourceType,
  readExperiment,
  readReplicaSet,
  readRollout,
} from "../api/api.ts";
import type { ClusterClient } from "../cluster/client.ts";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type ClusterFlags, type Connected, kindNamed, withCluster, withClusterFlags } from "./cluster.ts";
import { experimentCells } from "./experimentview.ts";
import { fitTable } from "./narrow.ts";
import { type OutputFlags, printList, withOutputFlag } from "./output.ts";
import { viewRollout } from "./rolloutview.ts";

const COLUMNS = [
  "NAME",
  "STRATEGY",
  "STATUS",
  "STEP",
  "SET-WEIGHT",
  "READY",
  "DESIRED",
  "UP-TO-DATE",
  "AVAILABLE",
];

const EXPERIMENT_COLUMNS = ["NAME", "STATUS", "DURATION", "REMAINING", "AGE"];

/** What a narrow terminal does without, the first of them first. */
const DISPENSABLE =
  "AVAILABLE UP-TO-DATE DESIRED STRATEGY SET-WEIGHT STEP AGE DURATION REMAINING READY".split(" ");

export interface ListFlags extends ClusterFlags, OutputFlags {
  readonly allNamespaces?: boolean;
}

type Where = { readonly signal: AbortSignal; readonly namespace?: string };

/** Adds the command. */
export function addList(program: Command, cli: Cli): void {
  const command = program
    .command("list <kind>")
    .description("list rollouts or experiments")
    .option("-A, --all-namespaces", "of all namespaces");
  withOutputFlag(withClusterFlags(command)).action((kind: string, flags: ListFlags) =>
    withCluster(cli, flags, async (connection) => {
      const type = kindNamed(kind);
      if (type !== RESOURCES.rollout && type !== RESOURCES.experiment) {
        throw new WeirError({
          code: CLI_ERRORS.usage,
          source: "user",
          message: `weir lists rollouts and experiments only, not ${kind}`,
        });
      }
      await listObjects(cli, connection, type, flags);
    }),
  );
}

/** Prints the Rollouts or Experiments. */
export async function listObjects(
  cli: Cli,
  { client, namespace }: Connected,
  type: ResourceType,
  { allNamespaces, output }: Pick<ListFlags, "allNamespaces" | "output">,
): Promise<void> {
  const where: Where = { signal: cli.signal, ...(allNamespaces !== true && { namespace }) };
  const { items } = await client.list(type, where);
  if (output !== undefined) return printList(cli, type, items, output);
  if (items.length === 0)
    return cli.err(`no ${type.plural} found${allNamespaces === true ? "" : ` in namespace ${namespace}`}`);
  const isRollout = type === RESOURCES.rollout;
  const rows = isRollout ? await rolloutRows(client, items, where) : items.map(experimentRow);
  const columns = isRollout ? COLUMNS : EXPERIMENT_COLUMNS;
  const table =
    allNamespaces === true
      ? [
          ["NAMESPACE", ...columns],
          ...rows.map((row, index) => [items[index]?.metadata.namespace ?? "", ...row]),
        ]
      : [columns, ...rows];
  for (const line of listLines(table, cli.terminal?.columns)) cli.out(line);
}

/** The lines of a table whose first row names the columns, in as many cells as there are. */
export function listLines(
  table: readonly (readonly string[])[],
  columns = Number.POSITIVE_INFINITY,
): readonly string[] {
  const [names = []] = table;
  const places = DISPENSABLE.map((name) => names.indexOf(name)).filter((place) => place >= 0);
  return fitTable(table, places, columns);
}

async function rolloutRows(
  client: ClusterClient,
  rollouts: readonly KubeObject[],
  where: Where,
): Promise<readonly (readonly string[])[]> {
  const sets = await client.list(RESOURCES.replicaSet, where);
  return rollouts.map((object) => {
    const owned = sets.items.filter((set) =>
      set.metadata.ownerReferences?.some((owner) => owner.uid === object.metadata.uid),
    );
    const parts = {
      rollout: readRollout(object).value,
      replicaSets: owned.map((set) => readReplicaSet(set).value),
      pods: [],
      analysisRuns: [],
    };
    const view = viewRollout(parts, Date.now());
    const { desired, ready, updated, available } = view.replicas;
    const numbers = [view.setWeight ?? "-", `${ready}/${desired}`, desired, updated, available].map(String);
    return [view.name, view.strategy, view.status.split(" ").at(-1) ?? "", view.step ?? "-", ...numbers];
  });
}

function experimentRow(object: KubeObject): readonly string[] {
  return experimentCells(readExperiment(object).value, Date.now());
}
