// The controller's HTTP side: figures at /metrics, and whether it is alive and ready at /healthz and /readyz. Plain text, nothing to write.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { messageOf, WeirError } from "../lib/errors.ts";

/** Code of a port that cannot be had. */
export const HTTP_LISTEN_FAILED = "WEIR_ERR_CONTROLLER_LISTEN";
const REQUEST_TIMEOUT_MS = 10_000;

export interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `pages` by path on `host`; port 0 is any free one. */
export async function servePages(
  address: { readonly host: string; readonly port: number },
  pages: Readonly<Record<string, () => Promise<Page> | Page>>,
): Promise<HttpServer> {
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url?.split("?")[0] ?? "";
    const page = Object.hasOwn(pages, path) ? await pages[path]?.() : undefined;
    const { status, contentType, body } =
      page ?? plain(404, `nothing here; there is ${Object.keys(pages).join(", ")}`);
    response.writeHead(status, { "content-type": contentType }).end(request.method === "HEAD" ? "" : body);
  };
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request, response).catch((error: unknown) => response.writeHead(500).end(messageOf(error)));
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => reject(listenFailed(address, cause)));
    server.listen(address.port, address.host, resolve);
  });
  const bound = server.address();
  return {
    port: typeof bound === "object" && bound !== null ? bound.port : address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** A page of one line. */
export function plain(status: number, text: string): Page {
  return { status, contentType: "text/plain; charset=utf-8", body: `${text}\n` };
}

function listenFailed(
  { host, port }: { readonly host: string; readonly port: number },
  cause: unknown,
): WeirError {
  return new WeirError({
    code: HTTP_LISTEN_FAILED,
    message: `cannot listen on ${host}:${port}: ${messageOf(cause)}. Choose another port, or stop what uses it.`,
    cause,
    source: "user",
    context: { host, port },
  });
}
