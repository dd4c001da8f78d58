// `weir proxy --config FILE`: the data plane, from an Envoy v3 bootstrap. Loads little by itself: a worker needs no control plane's client.
import { type Command, InvalidArgumentError } from "commander";
import { systemClock } from "../lib/clock.ts";
import type { Cli } from "./cli.ts";
import { durationFlag, formatFlag, type LogFlags, levelFlag, loggerFor } from "./flags.ts";

/** As given on the command line. */
export interface ProxyFlags extends LogFlags {
  readonly config: string;
  readonly serviceNode?: string;
  readonly serviceCluster?: string;
  readonly state?: string;
  readonly drainDelay?: number;
  readonly drainTimeout?: number;
  readonly workers: number;
}

/** Most workers of one proxy. */
const MAX_WORKERS = 64;

/** Adds the command. */
export function addProxy(program: Command, cli: Cli): void {
  program
    .command("proxy")
    .description("run a proxy from an Envoy v3 bootstrap (YAML or JSON)")
    .requiredOption("--config <file>", "the bootstrap")
    .option("--service-node <id>", "id of this proxy, instead of the bootstrap's node.id")
    .option("--service-cluster <group>", "group of this proxy, instead of the bootstrap's node.cluster")
    .option(
      "--state <folder>",
      "keep the last good configuration in this folder, and begin with it while there is no control plane",
    )
    .option(
      "--workers <number>",
      `processes that serve, up to ${MAX_WORKERS}; with more than one, a further one holds the ports and the control plane's stream`,
      workersFlag,
      1,
    )
    .option(
      "--drain-delay <duration>",
      "after SIGTERM, not ready, go on taking connections for this long; 5s if absent",
      durationFlag,
    )
    .option(
      "--drain-timeout <duration>",
      "after that, end connections that are still open after this long; 5s if absent",
      durationFlag,
    )
    .option("--log-level <level>", "error, warn, info or debug", levelFlag, "info")
    .option("--log-format <format>", "text or json", formatFlag, "text")
    .action(async (flags: ProxyFlags) => {
      const deps = { clock: systemClock, log: loggerFor(cli, flags) };
      if (cli.env.WEIR_WORKER !== undefined)
        return (await import("../proxy/workers/worker.ts")).runWorker(deps);
      return (await import("./runproxy.ts")).runFrom(cli, flags, deps);
    });
}

function workersFlag(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && count <= MAX_WORKERS) return count;
  throw new InvalidArgumentError(`workers are a number from 1 to ${MAX_WORKERS}.`);
}
