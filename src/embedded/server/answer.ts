// Answers of the API as the handler makes them and both transports carry them: a status, headers, and a body in chunks.
import { messageOf } from "../../lib/errors.ts";
import { type StatusObject, statusOf } from "./errors.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** An answer whose whole body is there. */
export function answerText(
  status: number,
  text: string,
  contentType = "application/json",
  warnings: readonly string[] = [],
): Answer {
  const bytes = Buffer.from(text);
  const headers: Record<string, string> = {
    "content-type": contentType,
    "content-length": String(bytes.byteLength),
  };
  // RFC 7234 warnings in one header, as client-go reads them.
  if (warnings.length > 0)
    headers.warning = warnings.map((words) => `299 - ${JSON.stringify(words)}`).join(", ");
  return { status, headers, body: once(bytes) };
}

export function answerJson(status: number, value: unknown, contentType = "application/json"): Answer {
  return answerText(status, JSON.stringify(value), contentType);
}

/** An answer that is written as it comes. */
export function answerStream(contentType: string, body: AsyncIterable<Uint8Array>): Answer {
  return { status: 200, headers: { "content-type": contentType }, body };
}

/** The answer for whatever was thrown: its Status, or 500 for a bug. */
export function answerError(error: unknown): Answer {
  const status: StatusObject = statusOf(error) ?? {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message: `the server failed: ${messageOf(error)}`,
    reason: "InternalError",
    code: 500,
  };
  return answerJson(status.code, status);
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}
