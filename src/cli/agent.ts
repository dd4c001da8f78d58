// `weir agent`: a node agent alone, for any API server: runs the pods that are bound to its node as local processes.
import { hostname } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { createAgent, loadImages } from "../embedded/embedded.ts";
import { systemClock } from "../lib/clock.ts";
import type { Cli } from "./cli.ts";
import { type ClusterFlags, withCluster, withClusterFlags } from "./cluster.ts";
import { formatFlag, type LogFlags, levelFlag, loggerFor } from "./flags.ts";
import { defaultStateDir, untilAborted } from "./up.ts";

interface AgentFlags extends ClusterFlags, LogFlags {
  readonly node: string;
  readonly dir: string;
  readonly images?: string;
  readonly podCidr?: string;
  readonly bind: boolean;
  readonly keepPods: boolean;
}

/** Adds the command. */
export function addAgent(program: Command, cli: Cli): void {
  const command = program
    .command("agent")
    .description("run the pods of one node as local processes")
    .option("--node <name>", "name of the node", hostname())
    .option("--dir <dir>", "folder for pids, logs and exit codes", join(defaultStateDir(cli.env), "agent"))
    .option("--images <file>", "which local commands stand for which images")
    .option(
      "--pod-cidr <cidr>",
      "give each pod an address of this range (a network namespace with local routes)",
    )
    .option("--bind", "take pods that no scheduler has bound", false)
    .option("--keep-pods", "leave the pods running when it stops", false)
    .option("--log-level <level>", "error, warn, info or debug", levelFlag, "info")
    .option("--log-format <format>", "text or json", formatFlag, "text");
  withClusterFlags(command).action((flags: AgentFlags) =>
    withCluster(cli, flags, async ({ client, server }) => {
      const log = loggerFor(cli, flags);
      const images = flags.images === undefined ? undefined : await loadImages(flags.images);
      const agent = createAgent({
        client,
        clock: systemClock,
        log,
        nodeName: flags.node,
        stateDir: flags.dir,
        bindsPods: flags.bind,
        network: flags.podCidr === undefined ? { kind: "loopback" } : { kind: "netns", cidr: flags.podCidr },
        ...(images !== undefined && { images }),
      });
      await agent.start();
      log.info("agent runs", { node: flags.node, server });
      await untilAborted(cli.signal);
      await agent.stop({ keepPods: flags.keepPods });
    }),
  );
}
