// What a listener allows each of its clients, and all of them together. Compiled from a listener (compilelimits.ts); what it does not say
// is as below.
import { MAX_FIELDS } from "../http1/head.ts";
import { MAX_HEAD_BYTES } from "../http1/parse.ts";

/** See the head of this file. */
export interface ClientLimits {
  /** Bytes of a request head. */
  readonly headBytes: number;
  /** Field lines of a request head. */
  readonly headFields: number;
  /** Connections of this listener; the proxy's own bound holds beside it. */
  readonly connections: number;
  /** The answer to so many requests ends the connection. */
  readonly requestsPerConnection: number;
  /** Age from which on a connection ends with its next answer, or when idle; 0: none. */
  readonly connectionMs: number;
  /** From the head of a request to the end of its answer, however busy; 0: none. */
  readonly streamMs: number;
}

export const DEFAULT_CLIENT_LIMITS: ClientLimits = {
  headBytes: MAX_HEAD_BYTES,
  headFields: MAX_FIELDS,
  connections: Number.POSITIVE_INFINITY,
  requestsPerConnection: Number.POSITIVE_INFINITY,
  connectionMs: 0,
  streamMs: 0,
};

/** Highest `headBytes` and `headFields` that may be asked for. */
export const HIGHEST_HEAD_BYTES = 1024 * 1024;
export const HIGHEST_HEAD_FIELDS = 1000;
