// The HTTP pages of the control plane's processes: /metrics, and /healthz and /readyz of the controller. On the port that was asked for, or
// else on the default one or the next that is free.
import {
  type ControllerMetrics,
  HTTP_LISTEN_FAILED,
  type HttpServer,
  plain,
  servePages,
} from "../controller/controller.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Logger } from "../lib/log.ts";

/** Default of /metrics. */
const METRICS_PORT = 8090;
/** Default of /healthz and /readyz. */
const HEALTH_PORT = 8080;
const PORT_TRIES = 100;

export interface PagesOptions {
  /** Address that is listened on. */
  readonly host: string;
  /** A port that must be had; without it the default, or the next free one. */
  readonly port?: number;
  readonly log: Logger;
}

/** Opens /metrics. Throws HTTP_LISTEN_FAILED when the port that was asked for is taken. */
export function serveMetrics(metrics: ControllerMetrics, options: PagesOptions): Promise<HttpServer> {
  const figures = {
    "/metrics": async () => ({ status: 200, contentType: metrics.contentType, body: await metrics.text() }),
  };
  return serveSomewhere(figures, options, METRICS_PORT);
}

/** Opens /healthz and /readyz. A standby is ready as well: it could lead at once. */
export function serveHealth(isReady: () => boolean, options: PagesOptions): Promise<HttpServer> {
  const health = {
    "/healthz": () => plain(200, "ok"),
    "/readyz": () => (isReady() ? plain(200, "ok") : plain(503, "the caches have not synced yet")),
  };
  return serveSomewhere(health, options, HEALTH_PORT);
}

async function serveSomewhere(
  pages: Parameters<typeof servePages>[1],
  { host, port: asked, log }: PagesOptions,
  standard: number,
): Promise<HttpServer> {
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
