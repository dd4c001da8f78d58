// Answers of the API as the handler makes them and both transports carry them: a status, headers, and a body in chunks.
import { messageOf } from "../../lib/errors.ts";
import { type StatusObject, statusOf } from "./errors.ts";

/** Bounds of what the Warning header carries. */
const MAX_WARNINGS = 16;
const MAX_WARNING_CHARS = 240;

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: AsyncIterable<Uint8Array>;
}

/** An answer whose whole body is there. */
export function answerBytes(status: number, bytes: Uint8Array, contentType: string): Answer {
  const headers = { "content-type": contentType, "content-length": String(bytes.byteLength) };
  return { status, headers, body: once(bytes) };
}

/** The same from text, with warnings for the client. */
export function answerText(
  status: number,
  text: string,
  contentType = "application/json",
  warnings: readonly string[] = [],
): Answer {
  const answer = answerBytes(status, Buffer.from(text), contentType);
  if (warnings.length === 0) return answer;
  const warning = warnings.slice(0, MAX_WARNINGS).map(warningValue).join(", ");
  return { ...answer, headers: { ...answer.headers, warning } };
}

/** One warning as RFC 7234 has it and client-go reads it: quoted, and in the characters that a header may carry. */
function warningValue(words: string): string {
  const short = words.length > MAX_WARNING_CHARS ? `${words.slice(0, MAX_WARNING_CHARS)}...` : words;
  return `299 - ${JSON.stringify(short.replace(/[^\x20-\x7e]/g, "?"))}`;
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
