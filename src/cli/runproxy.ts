// What `weir proxy` runs when it is not one of several workers: reads the bootstrap and serves by it.
import { readFile } from "node:fs/promises";
import { messageOf, WeirError } from "../lib/errors.ts";
import { DEFAULT_LIMITS, type ProxyDeps, runProxy } from "../proxy/server.ts";
import { readBootstrap } from "../xds/client.ts";
import { CLI_ERRORS, type Cli } from "./cli.ts";
import type { ProxyFlags } from "./proxy.ts";

/** A second or two for a probe to fail, and some more for those who route by it to be told. */
const DRAIN_DELAY_MS = 5_000;

/** Serves until the command is told to end. */
export async function runFrom(cli: Cli, flags: ProxyFlags, deps: ProxyDeps): Promise<void> {
  const bootstrap = await readBootstrap(await read(flags.config), flags.config, flags);
  const limits = {
    drainDelayMs: flags.drainDelay ?? DRAIN_DELAY_MS,
    drainMs: flags.drainTimeout ?? DEFAULT_LIMITS.drainMs,
  };
  await runProxy(bootstrap, { ...deps, limits }, cli.signal, {
    workers: flags.workers,
    ...(cli.hurry && { hurry: cli.hurry }),
    ...(flags.state !== undefined && { stateDir: flags.state }),
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
