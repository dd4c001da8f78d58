// HTTP field names and values as they may be configured: what a name and a value consist of, and which fields no configuration may edit.

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** HTAB, SP, visible ASCII and everything beyond it, in UTF-8; no CR, LF, NUL or other control. */
const VALUE = /^[\t\x20-\x7e\u0080-\u{10ffff}]*$/u;

/** Framing and hop-by-hop fields, Host (which is rewritten as a host), and what the proxy itself writes about the client. */
const UNEDITABLE: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "host",
  "keep-alive",
  "max-forwards",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
  "x-forwarded-for",
  "x-forwarded-proto",
  "x-request-id",
]);

/** What of a request line a rule on header fields may be about. */
export const REQUEST_LINE_NAMES: readonly string[] = [":method", ":path", ":authority"];

/** Most names that the edits of one route may concern, in each direction. */
export const MAX_EDITED_NAMES = 128;
/** Most bytes that edits may add to one head. */
export const MAX_ADDED_BYTES = 16 * 1024;

/** Whether `text` is the name of a field. */
export function isFieldName(text: string): boolean {
  return TOKEN.test(text);
}

/** Whether `text` may be the value of a field. */
export function isFieldValue(text: string): boolean {
  return VALUE.test(text);
}

/** Whether configuration may add, overwrite or remove the field; any case. */
export function isEditable(name: string): boolean {
  return !UNEDITABLE.has(name.toLowerCase());
}
