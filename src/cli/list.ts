// `weir list rollouts`: one line a Rollout, with Argo's columns.
import type { Command } from "commander";
import { RESOURCES, readReplicaSet, readRollout } from "../api/api.ts";
import { WeirError } from "../lib/errors.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { type ClusterFlags, kindNamed, withCluster, withClusterFlags } from "./cluster.ts";
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

interface ListFlags extends ClusterFlags {
  readonly allNamespaces?: boolean;
}

/** Adds the command. */
export function addList(program: Command, cli: Cli): void {
  const command = program
    .command("list <kind>")
    .description("list rollouts")
    .option("-A, --all-namespaces", "of all namespaces");
  withClusterFlags(command).action((kind: string, flags: ListFlags) =>
    withCluster(cli, flags, async ({ client, namespace }) => {
      if (kindNamed(kind) !== RESOURCES.rollout) {
        throw new WeirError({
          code: CLI_ERRORS.usage,
          source: "user",
          message: `weir lists rollouts only, not ${kind}`,
        });
      }
      const isEverywhere = flags.allNamespaces === true;
      const where = { signal: cli.signal, ...(!isEverywhere && { namespace }) };
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
