// `weir proxy --config FILE`: the data plane, from an Envoy v3 bootstrap.
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { systemClock } from "../lib/clock.ts";
import { messageOf, WeirError } from "../lib/errors.ts";
import { DEFAULT_LIMITS, runProxy } from "../proxy/server.ts";
import { readBootstrap } from "../xds/client.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { durationFlag, formatFlag, type LogFlags, levelFlag, loggerFor } from "./flags.ts";

interface ProxyFlags extends LogFlags {
  readonly config: string;
  readonly serviceNode?: string;
  readonly serviceCluster?: string;
  readonly state?: string;
  readonly drainDelay?: number;
  readonly drainTimeout?: number;
}

/** A second or two for a probe to fail, and some more for those who route by it to be told. */
const DRAIN_DELAY_MS = 5_000;

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
      const bootstrap = await readBootstrap(await read(flags.config), flags.config, flags);
      const limits = {
        drainDelayMs: flags.drainDelay ?? DRAIN_DELAY_MS,
        drainMs: flags.drainTimeout ?? DEFAULT_LIMITS.drainMs,
      };
      const deps = { clock: systemClock, log: loggerFor(cli, flags), limits };
      await runProxy(bootstrap, deps, cli.signal, {
        ...(cli.hurry && { hurry: cli.hurry }),
        ...(flags.state !== undefined && { stateDir: flags.state }),
      });
    });
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const message = `the bootstrap ${file} cannot be read: ${messageOf(error)}`;
    throw new WeirError({ code: CLI_ERRORS.manifest, source: "user", message, cause: error });
  }
}
