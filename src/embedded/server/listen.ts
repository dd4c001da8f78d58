// The server on a socket: https on loopback, bearer token, bounded bodies, answers streamed with backpressure.
import { createHash, timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { messageOf, WeirError } from "../../lib/errors.ts";
import type { Logger } from "../../lib/log.ts";
import { type Answer, answerError } from "./answer.ts";
import { isProtobuf, MAX_BODY_BYTES } from "./body.ts";
import type { Certificate } from "./certificate.ts";
import { apiError, SERVER_ERRORS } from "./errors.ts";
import type { ApiRequest } from "./handler.ts";
import { jsonOfProtobuf } from "./protobuf.ts";

export interface ListenOptions {
  /** 0 or absent: any free port. */
  readonly port?: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
}

export interface Listener {
  readonly url: string;
  readonly port: number;
  /** Stops accepting, ends open answers, and waits for both. Idempotent. */
  close(): Promise<void>;
}

export interface ListenContext {
  readonly certificate: Certificate;
  readonly isAuthorized: (authorization: string | undefined) => boolean;
  readonly handle: (request: ApiRequest) => Promise<Answer>;
  readonly log: Logger;
}

/** Longer than the idle time of clients' pools: Go's would otherwise meet a connection that is just being closed. */
const KEEP_ALIVE_MS = 120_000;
/** Paths that say nothing but that the server is there. */
const PUBLIC = /^\/(healthz|livez|readyz|version)(\/|\?|$)/;

/** Listens; rejects with WEIR_ERR_EMBEDDED_LISTEN when the port is taken. */
export async function listen(context: ListenContext, options: ListenOptions): Promise<Listener> {
  const { certPem, keyPem } = context.certificate;
  const server = createServer(
    { cert: certPem, key: keyPem, keepAliveTimeout: KEEP_ALIVE_MS },
    (request, response) => {
      serve(context, request, response).catch((error: unknown) => {
        // The client has gone, or the answer broke off: nothing can be told to it any more.
        context.log.debug("answer broken off", { path: request.url, error });
        response.destroy();
      });
    },
  );
  const { port = 0, host = "127.0.0.1" } = options;
  try {
    server.listen(port, host);
    await once(server, "listening");
  } catch (error) {
    throw new WeirError({
      code: SERVER_ERRORS.listen,
      source: "user",
      message: `the API server cannot listen on ${host}:${port}: ${messageOf(error)}; choose another port`,
      cause: error,
      context: { host, port },
    });
  }
  // A listening TCP server has an address of this form.
  const address = server.address() as AddressInfo;
  return {
    url: `https://${host}:${address.port}`,
    port: address.port,
    close: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Tells whether an Authorization header carries the token, in a time that does not depend on where it differs. */
export function bearerCheck(token: string): (authorization: string | undefined) => boolean {
  const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
  const expected = digest(`Bearer ${token}`);
  return (authorization) => authorization !== undefined && timingSafeEqual(digest(authorization), expected);
}

/** The answer to a request without the right token. */
export function unauthorized(): Answer {
  return answerError(
    apiError(401, "Unauthorized", "Unauthorized: send the bearer token of this server's kubeconfig"),
  );
}

async function serve(
  context: ListenContext,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const path = request.url ?? "/";
  if (!PUBLIC.test(path) && !context.isAuthorized(request.headers.authorization))
    return write(unauthorized(), response);
  const body = await readBody(request);
  if (body === undefined) {
    response.setHeader("connection", "close");
    const words = `the body is larger than ${MAX_BODY_BYTES} bytes`;
    return write(answerError(apiError(413, "RequestEntityTooLarge", words)), response);
  }
  const gone = new AbortController();
  response.once("close", () => gone.abort());
  const { accept, authorization, "content-type": contentType = "" } = request.headers;
  const read = bodyIn(body, contentType);
  if (read.kind === "refused") return write(answerError(read.error), response);
  const answer = await context.handle({
    method: request.method ?? "",
    path,
    headers: { accept, authorization, "content-type": read.contentType },
    body: read.text,
    signal: gone.signal,
  });
  await write(answer, response);
}

type BodyRead =
  | { readonly kind: "read"; readonly text: string; readonly contentType: string }
  | { readonly kind: "refused"; readonly error: unknown };

/** The body as the handler takes it: built-in kinds in protobuf become JSON, everything else is left to it. */
function bodyIn(body: Buffer, contentType: string): BodyRead {
  try {
    const json = isProtobuf(contentType) ? jsonOfProtobuf(body) : undefined;
    return json === undefined
      ? { kind: "read", text: body.toString("utf8"), contentType }
      : { kind: "read", text: json, contentType: "application/json" };
  } catch (error) {
    return { kind: "refused", error };
  }
}

/** The whole body; undefined when it is too large. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Chunks of a request without encoding are buffers.
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > MAX_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function write(answer: Answer, response: ServerResponse): Promise<void> {
  response.writeHead(answer.status, answer.headers);
  // A watch's client waits for the head even while there are no events.
  response.flushHeaders();
  for await (const chunk of answer.body) {
    if (response.destroyed) return;
    if (!response.write(chunk)) await drained(response);
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}
