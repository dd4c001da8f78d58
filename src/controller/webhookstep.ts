// The step plugin weir.dev/webhook: asks an HTTP server whether, and when, a step is done. It is at once a gate for people and pipelines (the server
// answers Running until somebody agreed) and a way to have work done between steps. One POST for each operation, bounded in time and size.
import { readWebhookStep } from "../api/api.ts";
import type { PluginAnswer, PluginCall } from "../engine/decide.ts";
import { parseDuration } from "../lib/duration.ts";
import { messageOf } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";

/** Answers are words and a few numbers. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** Of a server's error page, as much as a status message bears. */
const MAX_WORDS = 200;
const PHASES = ["Running", "Successful", "Failed", "Error"] as const;

/** Whose step it is. */
export interface StepSubject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Makes one call; whatever goes wrong is an answer of kind error. */
export async function callWebhook(
  call: PluginCall,
  subject: StepSubject,
  signal: AbortSignal,
): Promise<PluginAnswer> {
  const read = readWebhookStep(call.config);
  if (read.kind === "invalid") {
    const words = read.findings.map(({ path, message }) => `${path.join(".")} ${message}`);
    return { kind: "error", message: `config: ${words.join("; ")}` };
  }
  const { url, headers, timeoutMs } = read.settings;
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json", "idempotency-key": call.id, ...headers },
      body: JSON.stringify(questionOf(call, subject)),
      redirect: "error",
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    const text = await readBounded(response);
    if (!response.ok)
      return { kind: "error", message: `POST ${url} answered ${response.status}${wordsOf(text)}` };
    return answerOf(response, text);
  } catch (error) {
    const isTimeout = error instanceof DOMException && error.name === "TimeoutError";
    const why = isTimeout ? `no answer within ${timeoutMs} ms` : causeOf(error);
    return { kind: "error", message: `POST ${url}: ${why}` };
  }
}

function questionOf(
  { id, index, name, operation, execution, status, revision, versions }: PluginCall,
  { namespace, name: rollout, uid }: StepSubject,
): object {
  return {
    id,
    operation,
    execution,
    plugin: name,
    step: index + 1,
    rollout: { namespace, name: rollout, uid, revision },
    versions,
    ...(status === undefined ? {} : { status }),
  };
}

/** An empty answer is success, or with 202 that it goes on. Anything else has to be the JSON that the guide describes. */
function answerOf(response: Response, text: string): PluginAnswer {
  const implied = response.status === 202 ? "Running" : "Successful";
  const header = retryAfterOf(response.headers.get("retry-after"));
  if (text.trim() === "")
    return { kind: "answer", phase: implied, ...(header === undefined ? {} : { retryAfterMs: header }) };
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { kind: "error", message: `the answer is not JSON${wordsOf(text)}` };
  }
  if (!isObject(body)) return { kind: "error", message: "the answer is not a JSON object" };
  const { phase = implied, message = "", status, retryAfter } = body;
  const known = PHASES.find((one) => one === phase);
  if (known === undefined)
    return { kind: "error", message: `phase ${JSON.stringify(phase)} is none of ${PHASES.join(", ")}` };
  const retryAfterMs = retryAfterOf(retryAfter) ?? header;
  return {
    kind: "answer",
    phase: known,
    message: String(message).slice(0, MAX_WORDS * 5),
    ...(status === undefined ? {} : { status }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** Seconds, as a number or digits, or a Go duration. */
function retryAfterOf(value: unknown): number | undefined {
  if (typeof value === "number") return value * 1000;
  if (typeof value !== "string") return undefined;
  return /^\d+$/.test(value) ? Number(value) * 1000 : parseDuration(value);
}

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  // A Response's body is a stream of bytes; Node's types leave the chunk open.
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    bytes += chunk.byteLength;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`the answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function wordsOf(text: string): string {
  const words = text.replace(/\s+/g, " ").trim().slice(0, MAX_WORDS);
  return words === "" ? "" : `: ${words}`;
}

/** undici says only "fetch failed"; why is its cause. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return messageOf(cause ?? error);
}
