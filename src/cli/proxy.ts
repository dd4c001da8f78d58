// `weir proxy --config FILE`: the data plane, from an Envoy v3 bootstrap.
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { systemClock } from "../lib/clock.ts";
import { messageOf, WeirError } from "../lib/errors.ts";
import { runProxy } from "../proxy/server.ts";
import { readBootstrap } from "../xds/client.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import { formatFlag, type LogFlags, levelFlag, loggerFor } from "./flags.ts";

interface ProxyFlags extends LogFlags {
  readonly config: string;
  readonly serviceNode?: string;
  readonly serviceCluster?: string;
}

/** Adds the command. */
export function addProxy(program: Command, cli: Cli): void {
  program
    .command("proxy")
    .description("run a proxy from an Envoy v3 bootstrap (YAML or JSON)")
    .requiredOption("--config <file>", "the bootstrap")
    .option("--service-node <id>", "id of this proxy, instead of the bootstrap's node.id")
    .option("--service-cluster <group>", "group of this proxy, instead of the bootstrap's node.cluster")
    .option("--log-level <level>", "error, warn, info or debug", levelFlag, "info")
    .option("--log-format <format>", "text or json", formatFlag, "text")
    .action(async (flags: ProxyFlags) => {
      const bootstrap = await readBootstrap(await read(flags.config), flags.config, flags);
      await runProxy(bootstrap, { clock: systemClock, log: loggerFor(cli, flags) }, cli.signal);
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
