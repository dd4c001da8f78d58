// One active health check of one endpoint, by HTTP or TCP: asks and says once how it went. It has no time of its own: whoever started it ends it.
import { Agent, request } from "node:http";
import { connect } from "node:net";
import type { Endpoint } from "./endpoint.ts";

/** Half open: start <= status < end. */
export interface StatusRange {
  readonly start: number;
  readonly end: number;
}

export type ProbeOptions = {
  /** In place of the endpoint's own; null: that. */
  readonly port: number | null;
} & (
  | {
      readonly kind: "http";
      readonly method: string;
      readonly path: string;
      /** In Host; empty: the cluster's name. */
      readonly host: string;
      readonly expected: readonly StatusRange[];
      /** Statuses that count towards the threshold; other unexpected ones fail at once. */
      readonly retriable: readonly StatusRange[];
    }
  | {
      readonly kind: "tcp";
      /** Empty: nothing is sent. */
      readonly send: Buffer;
      /** What must be received, in this order. */
      readonly receive: readonly Buffer[];
    }
);

/** A check that runs. */
export interface Probe {
  /** Ends it; nothing is said any more. */
  close(): void;
}

type Done = (result: "good" | "failed" | "wrong") => void;

/** Bytes of an answer that are looked at. */
const MAX_ANSWER_BYTES = 64 * 1024;

/** Starts a check; `done` is called at most once, never before this returns. */
export function startProbe(endpoint: Endpoint, options: ProbeOptions, done: Done): Probe {
  const port = endpoint.checkPort ?? options.port ?? endpoint.port;
  return options.kind === "http"
    ? askHttp(endpoint, port, options, done)
    : askTcp(endpoint, port, options, done);
}

function askHttp(
  endpoint: Endpoint,
  port: number,
  { method, path, host, expected, retriable }: ProbeOptions & { readonly kind: "http" },
  done: Done,
): Probe {
  // A connection for each check: what is asked is whether a new client would be served.
  const agent = new Agent({ keepAlive: false });
  const name = endpoint.checkHost || host || endpoint.cluster.name;
  const headers = { host: name, "user-agent": "weir-health-check", connection: "close" };
  const asked = request({ host: endpoint.address, port, method, path, headers, agent });
  let received = 0;
  asked.once("error", () => done("failed"));
  asked.once("response", (response) => {
    const status = response.statusCode ?? 0;
    const isIn = ({ start, end }: StatusRange): boolean => status >= start && status < end;
    const answer = (): void => {
      if (expected.some(isIn)) done("good");
      else done(retriable.some(isIn) ? "failed" : "wrong");
      asked.destroy();
    };
    response.on("data", (chunk: Buffer) => {
      received += chunk.length;
      if (received > MAX_ANSWER_BYTES) answer();
    });
    response.once("error", () => done("failed"));
    response.once("end", answer);
  });
  asked.end();
  return { close: () => void asked.destroy() };
}

function askTcp(
  endpoint: Endpoint,
  port: number,
  { send, receive }: ProbeOptions & { readonly kind: "tcp" },
  done: Done,
): Probe {
  const socket = connect({ host: endpoint.address, port });
  let received = Buffer.alloc(0);
  const end = (result: "good" | "failed"): void => {
    done(result);
    socket.destroy();
  };
  socket.once("connect", () => {
    if (send.length > 0) socket.write(send);
    if (receive.length === 0) end("good");
  });
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (isReceived(received, receive)) end("good");
    else if (received.length > MAX_ANSWER_BYTES) end("failed");
  });
  socket.once("end", () => end("failed"));
  socket.once("error", () => end("failed"));
  return { close: () => void socket.destroy() };
}

function isReceived(bytes: Buffer, parts: readonly Buffer[]): boolean {
  let from = 0;
  for (const part of parts) {
    const at = bytes.indexOf(part, from);
    if (at === -1) return false;
    from = at + part.length;
  }
  return true;
}
