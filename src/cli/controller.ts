// `weir controller`: the control plane alone, against the cluster that the kubeconfig or the pod's service account names.
import type { Command } from "commander";
import {
  type Controller,
  type ControllerMetrics,
  createController,
  createMetrics,
  HTTP_LISTEN_FAILED,
  type HttpServer,
  plain,
  servePages,
} from "../controller/controller.ts";
import { systemClock } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";
import type { Cli } from "./cli.ts";
import { type ClusterFlags, withCluster, withClusterFlags } from "./cluster.ts";
import { formatFlag, type LogFlags, levelFlag, loggerFor, portFlag } from "./flags.ts";
import { SYSTEM_NAMESPACE } from "./local.ts";
import { untilAborted } from "./up.ts";

const METRICS_PORT = 8090;
const HEALTH_PORT = 8080;
const PORT_TRIES = 100;

interface ControllerFlags extends ClusterFlags, LogFlags {
  readonly ownNamespace: string;
  readonly namespaced: boolean;
  readonly xdsHost: string;
  readonly xdsPort: number;
  readonly bind: string;
  readonly identity?: string;
  readonly metricsPort?: number;
  readonly healthPort?: number;
}

/** Adds the command. */
export function addController(program: Command, cli: Cli): void {
  const command = program
    .command("controller")
    .description("run the control plane: decide about rollouts and serve xDS to proxies")
    .option(
      "--own-namespace <name>",
      "namespace of the lease and of the records of proxies",
      SYSTEM_NAMESPACE,
    )
    .option("--namespaced", "reconcile only the namespace of the context or of -n", false)
    .option("--xds-host <address>", "address that ADS and LRS listen on", "0.0.0.0")
    .option("--xds-port <port>", "port of ADS and LRS", portFlag, 18_000)
    .option("--bind <address>", "address that gateways listen on when their Gateway names none", "0.0.0.0")
    .option("--identity <name>", "name of this process in the lease; default: host name and pid")
    .option("--metrics-port <port>", "port of /metrics; default: 8090, or the next free one", portFlag)
    .option(
      "--health-port <port>",
      "port of /healthz and /readyz; default: 8080, or the next free one",
      portFlag,
    )
    .option("--log-level <level>", "error, warn, info or debug", levelFlag, "info")
    .option("--log-format <format>", "text or json", formatFlag, "text");
  withClusterFlags(command).action((flags: ControllerFlags) =>
    withCluster(cli, flags, async ({ client, namespace, server }) => {
      const log = loggerFor(cli, flags);
      const metrics = createMetrics();
      const controller = createController({
        client,
        metrics,
        clock: systemClock,
        log,
        namespace: flags.ownNamespace,
        xdsHost: flags.xdsHost,
        xdsPort: flags.xdsPort,
        bindAddress: flags.bind,
        ...(flags.namespaced && { watchNamespace: namespace }),
        ...(flags.identity !== undefined && { identity: flags.identity }),
      });
      const servers = await serve(controller, metrics, flags, log);
      const { xdsAddress } = await controller.start();
      log.info("controller runs", { server, xdsAddress });
      await untilAborted(cli.signal);
      await controller.stop();
      for (const one of servers) await one.close();
    }),
  );
}

/** Opens /metrics, and /healthz and /readyz. A standby is ready as well: it could lead at once. */
async function serve(
  controller: Controller,
  metrics: ControllerMetrics,
  { metricsPort, healthPort }: ControllerFlags,
  log: Logger,
): Promise<readonly HttpServer[]> {
  const figures = {
    "/metrics": async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() }),
  };
  const health = {
    "/healthz": () => plain(200, "ok"),
    "/readyz": () => (controller.isReady() ? plain(200, "ok") : plain(503, "the caches have not synced yet")),
  };
  return [
    await serveSomewhere(figures, metricsPort, METRICS_PORT, log),
    await serveSomewhere(health, healthPort, HEALTH_PORT, log),
  ];
}

/** On the port that was asked for, or else on the default one or the next that is free. */
async function serveSomewhere(
  pages: Parameters<typeof servePages>[1],
  asked: number | undefined,
  standard: number,
  log: Logger,
): Promise<HttpServer> {
  const host = "0.0.0.0";
  if (asked !== undefined) return servePages({ host, port: asked }, pages);
  for (let port = standard; port < standard + PORT_TRIES; port += 1) {
    try {
      const server = await servePages({ host, port }, pages);
      if (port !== standard)
        log.warn("default port is taken, using another", { default: standard, port: server.port });
      return server;
    } catch (error) {
      if (!isWeirError(error, HTTP_LISTEN_FAILED)) throw error;
    }
  }
  return servePages({ host, port: 0 }, pages);
}
