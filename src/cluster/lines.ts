// Reads the body of an answer: whole, as text, or line by line as a watch sends it. Every read is bounded.
import { WeirError } from "../lib/errors.ts";
import { CLUSTER_ERRORS } from "./errors.ts";

/** Most bytes of one answer that is read whole: a page of a list at its largest. */
export const MAX_BODY_BYTES = 256 * 1024 * 1024;
/** Most characters of one watch event: several times what etcd stores as one object. */
export const MAX_LINE_CHARS = 16 * 1024 * 1024;

/** The whole body as text. */
export async function readText(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.byteLength;
    if (bytes > MAX_BODY_BYTES) throw tooLarge(`more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** The lines of a stream without their line feeds, empty ones left out; a last line without line feed counts. */
export async function* readLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let parts: string[] = []; // of the unfinished line, joined only when it ends: a large object comes in many chunks
  let chars = 0;
  for await (const chunk of body) {
    const text = decoder.decode(chunk, { stream: true });
    let start = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
      const line = parts.length === 0 ? text.slice(start, end) : parts.join("") + text.slice(start, end);
      parts = [];
      chars = 0;
      start = end + 1;
      if (line.trim() !== "") yield line;
    }
    if (start === text.length) continue;
    parts.push(text.slice(start));
    chars += text.length - start;
    if (chars > MAX_LINE_CHARS) throw tooLarge(`a line of more than ${MAX_LINE_CHARS} characters`);
  }
  const rest = parts.join("") + decoder.decode();
  if (rest.trim() !== "") yield rest;
}

function tooLarge(what: string): WeirError {
  return new WeirError({
    code: CLUSTER_ERRORS.unavailable,
    source: "upstream",
    message: `the API server answered with ${what}`,
  });
}
