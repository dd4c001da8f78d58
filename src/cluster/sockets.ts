// The transport over sockets: one undici pool per API server, HTTP/1.1 (a watch holds a connection of its own), TLS with the
// kubeconfig's trust, and credentials asked for at every request so that rotated tokens take effect.
import { readFile, stat } from "node:fs/promises";
import type { Dispatcher } from "undici";
import { messageOf } from "../lib/errors.ts";
import type { Transport } from "./client.ts";
import { errorOfSocket } from "./errors.ts";

/** Where an API server is and how its certificate is checked. */
export interface Endpoint {
  /** `https://127.0.0.1:6440`, with a path when the API lies under one. */
  readonly url: string;
  /** PEM. Default: the machine's trusted authorities. */
  readonly ca?: string;
  /** PEM, for client certificates. */
  readonly cert?: string;
  readonly key?: string;
  /** The name that the certificate must carry; default: the url's host. */
  readonly serverName?: string;
  /** The kubeconfig's `insecure-skip-tls-verify`. */
  readonly isUnverified?: boolean;
}

/** Headers that prove who asks; called once per request. */
export type Credentials = () => Promise<Readonly<Record<string, string>>>;

/** Most connections at once: bounds watches and requests together; requests beyond it wait, up to the client's time limit. */
export const MAX_CONNECTIONS = 256;
const CONNECT_TIMEOUT_MS = 10_000;
const IDLE_CONNECTION_MS = 30_000;

/** Opens nothing until the first request. */
export async function createSocketTransport(
  endpoint: Endpoint,
  credentials: Credentials,
): Promise<Transport> {
  const { Pool } = await import("undici"); // 50 ms that callers of an in-process transport are spared
  const url = new URL(endpoint.url);
  const basePath = url.pathname.replace(/\/$/, "");
  const pool = new Pool(url.origin, {
    connections: MAX_CONNECTIONS,
    allowH2: false,
    keepAliveTimeout: IDLE_CONNECTION_MS,
    headersTimeout: 0, // the client's own limits hold
    bodyTimeout: 0,
    connect: {
      timeout: CONNECT_TIMEOUT_MS,
      ...(endpoint.ca === undefined ? {} : { ca: endpoint.ca }),
      ...(endpoint.cert === undefined ? {} : { cert: endpoint.cert }),
      ...(endpoint.key === undefined ? {} : { key: endpoint.key }),
      ...(endpoint.serverName === undefined ? {} : { servername: endpoint.serverName }),
      ...(endpoint.isUnverified === true ? { rejectUnauthorized: false } : {}),
    },
  });
  return {
    async request(request) {
      const what = `${request.method} ${request.path.split("?")[0]}`;
      const headers = { ...request.headers, ...(await credentials()) };
      try {
        const response = await pool.request({
          method: request.method,
          path: basePath + request.path,
          headers,
          body: request.body ?? null,
          ...(request.signal === undefined ? {} : { signal: request.signal }),
        });
        return {
          status: response.statusCode,
          headers: plainHeaders(response.headers),
          body: bodyOf(response.body, endpoint.url, what),
        };
      } catch (error) {
        throw errorOfSocket(error, endpoint.url, what);
      }
    },
    close: () => pool.destroy(),
  };
}

/** A token file, read again when it changes: tokens of service accounts are rotated in place. */
export function tokenFileCredentials(path: string): Credentials {
  let readAtMs = -1;
  let token = "";
  return async () => {
    const { mtimeMs } = await stat(path);
    if (mtimeMs !== readAtMs) {
      token = (await readFile(path, "utf8")).trim();
      readAtMs = mtimeMs;
    }
    return { authorization: `Bearer ${token}` };
  };
}

async function* bodyOf(
  body: Dispatcher.ResponseData["body"],
  server: string,
  what: string,
): AsyncGenerator<Uint8Array, void, void> {
  // A body that nobody reads to its end gives its connection back only when it is destroyed.
  try {
    for await (const chunk of body) yield chunk as Uint8Array; // undici yields Buffers; its type says any
  } catch (error) {
    throw errorOfSocket(error, server, `${what} (${messageOf(error)})`);
  } finally {
    body.destroy();
  }
}

function plainHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Record<string, string> {
  const plain: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return plain;
}
