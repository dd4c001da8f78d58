// `weir up`: a local cluster in one process (API server, controller, node agent, proxies for Gateways), until Ctrl-C.
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { systemClock } from "../lib/clock.ts";
import { type Cli, calledAs } from "./cli.ts";
import { addressFlag, formatFlag, type LogFlags, levelFlag, loggerFor, portFlag } from "./flags.ts";
import { startLocal } from "./local.ts";

interface UpFlags extends LogFlags {
  readonly state: string;
  readonly apiPort?: number;
  readonly xdsPort?: number;
  readonly metricsPort?: number;
  readonly images?: string;
  readonly bind?: string;
}

/** Where state lies when no flag says so: `$XDG_STATE_HOME/weir`. */
export function defaultStateDir(env: Readonly<Record<string, string | undefined>>): string {
  const base = env.XDG_STATE_HOME ?? join(env.HOME ?? ".", ".local", "state");
  return join(base, "weir");
}

/** Adds the command. */
export function addUp(program: Command, cli: Cli): void {
  program
    .command("up")
    .description("run a local cluster: API server, controller, node agent, and proxies for Gateways")
    .option("--state <dir>", "folder of the state", defaultStateDir(cli.env))
    .option("--api-port <port>", "port of the API server; default 6440 or the next free one", portFlag)
    .option("--xds-port <port>", "port of ADS and LRS; default 18000 or the next free one", portFlag)
    .option("--metrics-port <port>", "port of /metrics; default 8090 or the next free one", portFlag)
    .option("--images <file>", "which local commands stand for which images")
    .option("--bind <address>", "address that gateways listen on", addressFlag, "127.0.0.1")
    .option("--log-level <level>", "error, warn, info or debug", levelFlag, "info")
    .option("--log-format <format>", "text or json", formatFlag, "text")
    .action(async (flags: UpFlags) => {
      const local = await startLocal({
        stateDir: flags.state,
        clock: systemClock,
        log: loggerFor(cli, flags),
        ...(flags.apiPort !== undefined && { apiPort: flags.apiPort }),
        ...(flags.xdsPort !== undefined && { xdsPort: flags.xdsPort }),
        ...(flags.metricsPort !== undefined && { metricsPort: flags.metricsPort }),
        ...(flags.images !== undefined && { images: flags.images }),
        ...(flags.bind !== undefined && { bindAddress: flags.bind }),
      });
      cli.out(`state       ${resolve(flags.state)}`);
      cli.out(`API server  ${local.server}`);
      cli.out(`kubeconfig  ${local.kubeconfig}`);
      cli.out(`xDS         ${local.xdsAddress}`);
      cli.out(`metrics     ${local.metricsUrl}`);
      cli.out(
        `ready. Apply manifests with: ${calledAs(cli.env)} apply --state ${flags.state} -f FILE. Ctrl-C stops everything.`,
      );
      await untilAborted(cli.signal);
      cli.err(
        "stopping pods and server; a second Ctrl-C ends at once, and what is left then stops with: weir down",
      );
      await local.stop({ keepPods: false });
    });
}

/** Resolves when the signal aborts. */
export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolveWait) => {
    if (signal.aborted) resolveWait();
    else signal.addEventListener("abort", () => resolveWait(), { once: true });
  });
}
