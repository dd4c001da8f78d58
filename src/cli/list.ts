// `weir list rollouts|experiments`: one line each, with Argo's columns.
import type { Command } from "commander";
import { RESOURCES, readExperiment, readReplicaSet, readRollout } from "../api/api.ts";
import type { ClusterClient } from "../cluster/client.ts";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type ClusterFlags, kindNamed, withCluster, withClusterFlags } from "./cluster.ts";
import { experimentCells } from "./experimentview.ts";
import { renderTable } from "./render.ts";
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

interface ListFlags extends ClusterFlags {
  readonly allNamespaces?: boolean;
}

/** Adds the command. */
export function addList(program: Command, cli: Cli): void {
  const command = program
    .command("list <kind>")
    .description("list rollouts or experiments")
    .option("-A, --all-namespaces", "of all namespaces");
  withClusterFlags(command).action((kind: string, flags: ListFlags) =>
    withCluster(cli, flags, async ({ client, namespace }) => {
      const type = kindNamed(kind);
      if (type !== RESOURCES.rollout && type !== RESOURCES.experiment) {
        throw new WeirError({
          code: CLI_ERRORS.usage,
          source: "user",
          message: `weir lists rollouts and experiments only, not ${kind}`,
        });
      }
      const isEverywhere = flags.allNamespaces === true;
      const where = { signal: cli.signal, ...(!isEverywhere && { namespace }) };
      if (type === RESOURCES.experiment) return listExperiments(cli, client, where);
      const [rollouts, sets] = await Promise.all([
        client.list(RESOURCES.rollout, where),
        client.list(RESOURCES.replicaSet, where),
      ]);
      if (rollouts.items.length === 0) {
        cli.err(isEverywhere ? "no rollouts found" : `no rollouts found in namespace ${namespace}`);
        return;
      }
      const rows = rollouts.items.map((object) => {
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
        const numbers = [view.setWeight ?? "-", `${ready}/${desired}`, desired, updated, available].map(
          String,
        );
        const own = [
          view.name,
          view.strategy,
          view.status.split(" ").at(-1) ?? "",
          view.step ?? "-",
          ...numbers,
        ];
        return isEverywhere ? [view.namespace, ...own] : own;
      });
      for (const line of renderTable([isEverywhere ? ["NAMESPACE", ...COLUMNS] : COLUMNS, ...rows]))
        cli.out(line);
    }),
  );
}

async function listExperiments(
  cli: Cli,
  client: ClusterClient,
  where: { readonly signal: AbortSignal; readonly namespace?: string },
): Promise<void> {
  const { items } = await client.list(RESOURCES.experiment, where);
  const isEverywhere = where.namespace === undefined;
  if (items.length === 0)
    return cli.err(
      isEverywhere ? "no experiments found" : `no experiments found in namespace ${where.namespace}`,
    );
  const rows = items.map((object) => {
    const own = experimentCells(readExperiment(object).value, Date.now());
    return isEverywhere ? [object.metadata.namespace ?? "", ...own] : own;
  });
  const columns = isEverywhere ? ["NAMESPACE", ...EXPERIMENT_COLUMNS] : EXPERIMENT_COLUMNS;
  for (const line of renderTable([columns, ...rows])) cli.out(line);
}
