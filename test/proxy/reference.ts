// A second reader of HTTP/1.1 messages, by other means than the proxy's (text and patterns, whole messages only): what the proxy sends on must
// be clear to it. It knows one way to frame a body at a time, and takes nothing that could be read in two ways.

/** A message as it was read. */
export interface Message {
  readonly start: string;
  /** Names in lower case. */
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  readonly trailers: readonly string[];
}

/** What a stream of bytes holds. `rest`: bytes of a message that is not whole; `wrong`: why the rest is no message. */
export interface Reading {
  readonly messages: readonly Message[];
  readonly rest: string;
  readonly wrong: string;
}

interface One {
  readonly message: Message;
  readonly length: number;
}

const REQUEST_LINE = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP\/1\.1$/;
const STATUS_LINE = /^HTTP\/1\.1 [1-5]\d\d [\t\x20-\x7e\x80-\xff]*$/;
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

/** Reads requests. */
export function readRequests(text: string): Reading {
  return readAll(text, (rest) => readOne(rest, REQUEST_LINE, ""));
}

/** Reads the answers to requests of these methods, in order. `isClosed`: the connection ended behind `text`. */
export function readAnswers(text: string, methods: readonly string[], isClosed: boolean): Reading {
  let next = 0;
  return readAll(text, (rest) => {
    const one = readOne(rest, STATUS_LINE, methods[next] ?? "GET", isClosed);
    if (typeof one !== "string" && !one.message.start.startsWith("HTTP/1.1 1")) next += 1;
    return one;
  });
}

/** The same where `methods` are those of the requests that went upstream, and answers of the proxy's own stand between theirs. */
export function readMixedAnswers(text: string, methods: readonly string[], isClosed: boolean): Reading {
  let next = 0;
  return readAll(text, (rest) => {
    const isOwn = rest.slice(0, rest.indexOf("\r\n\r\n")).includes("\r\nx-weir-reason: ");
    const one = readOne(rest, STATUS_LINE, isOwn ? "GET" : (methods[next] ?? "GET"), isClosed);
    // The last one may refuse a HEAD: then it has no body.
    if (typeof one === "string") return isOwn ? readOne(rest, STATUS_LINE, "HEAD") : one;
    if (!isOwn && !one.message.start.startsWith("HTTP/1.1 1")) next += 1;
    return one;
  });
}

/** `partial`: more must come; any other text says what is wrong. */
function readOne(text: string, startLine: RegExp, method: string, isClosed = false): One | string {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return text.length > 100_000 ? "head too long" : "partial";
  const [start = "", ...lines] = text.slice(0, end).split("\r\n");
  if (!startLine.test(start)) return `start line ${JSON.stringify(start)}`;
  const fields: [string, string][] = [];
  for (const line of lines) {
    const [, name, value] = FIELD.exec(line) ?? [];
    if (name === undefined || value === undefined) return `field ${JSON.stringify(line)}`;
    fields.push([name.toLowerCase(), value.trimEnd()]);
  }
  const valuesOf = (name: string): string[] => fields.filter(([n]) => n === name).map(([, value]) => value);
  const [encodings, lengths, hosts] = ["transfer-encoding", "content-length", "host"].map(valuesOf);
  if (encodings === undefined || lengths === undefined || hosts === undefined) return "unreachable";
  if (method === "" && hosts.length !== 1) return `${hosts.length} hosts`;
  if (encodings.length + lengths.length > 1) return "framed twice";
  const from = end + 4;
  const done = (body: string, length: number, trailers: readonly string[] = []): One => ({
    message: { start, fields, body, trailers },
    length,
  });
  const status = method === "" ? "" : start.slice(9, 12);
  if (method === "HEAD" || status.startsWith("1") || status === "304") return done("", from);
  if (status === "204") return encodings.length + lengths.length > 0 ? "204 with framing" : done("", from);
  if (encodings.length > 0) {
    if (encodings[0] !== "chunked") return `encoding ${encodings[0]}`;
    return readChunks(text, from, done);
  }
  if (lengths.length > 0) {
    if (!/^\d{1,15}$/.test(lengths[0] ?? "")) return `length ${lengths[0]}`;
    const to = from + Number(lengths[0]);
    return to > text.length ? "partial" : done(text.slice(from, to), to);
  }
  if (method === "") return done("", from);
  return isClosed ? done(text.slice(from), text.length) : "partial";
}

function readChunks(
  text: string,
  from: number,
  done: (body: string, length: number, trailers: readonly string[]) => One,
): One | string {
  let body = "";
  let at = from;
  for (;;) {
    const line = text.indexOf("\r\n", at);
    if (line === -1) return "partial";
    const size = text.slice(at, line);
    if (!/^[0-9a-f]{1,13}$/.test(size)) return `chunk size ${JSON.stringify(size)}`;
    const count = Number.parseInt(size, 16);
    at = line + 2;
    if (count === 0) break;
    if (text.length < at + count + 2) return "partial";
    body += text.slice(at, at + count);
    if (text.slice(at + count, at + count + 2) !== "\r\n") return "chunk not ended";
    at += count + 2;
  }
  const trailers: string[] = [];
  for (;;) {
    const line = text.indexOf("\r\n", at);
    if (line === -1) return "partial";
    const trailer = text.slice(at, line);
    at = line + 2;
    if (trailer === "") return done(body, at, trailers);
    const [, name = ""] = FIELD.exec(trailer) ?? [];
    if (name === "" || /^(?:host|content-length|transfer-encoding)$/i.test(name))
      return `trailer ${JSON.stringify(trailer)}`;
    trailers.push(trailer);
  }
}

function readAll(text: string, read: (rest: string) => One | string): Reading {
  const messages: Message[] = [];
  let rest = text;
  while (rest !== "") {
    const one = read(rest);
    if (typeof one === "string") return { messages, rest, wrong: one === "partial" ? "" : one };
    messages.push(one.message);
    rest = rest.slice(one.length);
  }
  return { messages, rest, wrong: "" };
}
