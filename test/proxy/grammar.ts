// Messages made from the grammar of HTTP/1.1 by lot, and spoilt by lot: most are valid in some unusual way, the others are wrong in a way that
// some server is known to take.
import type { Dice } from "../../src/proxy/route/split.ts";

const METHODS = ["GET", "GET", "POST", "POST", "PUT", "HEAD", "DELETE", "OPTIONS", "PURGE", "TRACE"];
const TARGETS = [
  "/",
  "/a",
  "/a/b?c=d",
  "/%41",
  "//x",
  "/a/../b",
  "/?",
  "/a?b#c",
  "*",
  "http://h.test/z",
  "http://h.test",
  "/\u00e9",
];
const HOSTS = ["a", "a.test:80", "[::1]", "A.TEST", "a.", "a b", "a:b", "", "h.test"];
const VERSIONS = [
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/1.2",
  "http/1.1",
  "HTTP/2.0",
];
const NAMES = [
  "X-A",
  "Accept",
  "Cookie",
  "x_y",
  "Connection",
  "TE",
  "Upgrade",
  "Keep-Alive",
  "Expect",
  "Trailer",
  "Max-Forwards",
  "X-Forwarded-For",
];
const VALUES = [
  "1",
  "close",
  "keep-alive",
  "x-a",
  "trailers",
  "100-continue",
  "gzip",
  "",
  " ",
  "a\tb",
  "\u00ff",
  "x-a, host, content-length",
  "0",
];
const CODINGS = [
  "chunked",
  "chunked",
  "chunked",
  "Chunked",
  "identity",
  "gzip, chunked",
  "chunked ",
  "xchunked",
  "chunked, chunked",
  "\tchunked",
];
const STATUSES = [
  "200 OK",
  "200 OK",
  "201 ",
  "204 No Content",
  "304 Not Modified",
  "404 Not Found",
  "500 x",
  "200",
  "99 x",
  "600 x",
  "2000 x",
];
const INTERIMS = ["100 Continue", "102 Processing", "103 Early Hints", "101 Switching Protocols"];
/** What is put in somewhere. */
const SPOILERS = [
  "\r",
  "\n",
  "\r\n",
  "\0",
  " ",
  "\t",
  ":",
  ";",
  ",",
  "0",
  "f",
  "-",
  "+",
  "x",
  "\x7f",
  "\u0080",
  "\r\n\r\n",
  "0\r\n\r\n",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  " \r\n",
];

/** One to three requests in a row, without what is spoilt. */
export function requestsOf(dice: Dice): string {
  let text = "";
  for (let count = 1 + dice.below(3); count > 0; count--) text += requestOf(dice);
  return text;
}

function requestOf(dice: Dice): string {
  const method = one(METHODS, dice);
  const isPlain = dice.below(3) > 0;
  const target = isPlain ? `/${dice.below(1000)}` : one(TARGETS, dice);
  const version = isPlain ? "HTTP/1.1" : one(VERSIONS, dice);
  const host = dice.below(10) === 0 ? one(HOSTS, dice) : "a";
  const lines = [`Host: ${host}`, ...fieldsOf(dice)];
  const [framing, body] = bodyOf(dice, dice.below(2) === 0);
  return `${method} ${target} ${version}\r\n${shuffled([...lines, ...framing], dice).join("\r\n")}\r\n\r\n${body}`;
}

/** An answer, with what comes before and perhaps behind it. */
export function answerOf(dice: Dice): string {
  let text = "";
  while (dice.below(4) === 0)
    text += `HTTP/1.1 ${one(INTERIMS, dice)}\r\n${dice.below(2) === 0 ? "Link: </a>\r\n" : ""}\r\n`;
  const version = dice.below(6) === 0 ? "HTTP/1.0" : "HTTP/1.1";
  const [framing, body] = bodyOf(dice, dice.below(8) === 0);
  const lines = shuffled([...fieldsOf(dice), ...framing], dice);
  text += `${version} ${one(STATUSES, dice)}\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n${body}`;
  return dice.below(6) === 0 ? `${text}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray` : text;
}

/** The text with up to three things wrong. */
export function spoilt(text: string, dice: Dice): string {
  let found = text;
  for (let count = dice.below(4); count > 0; count--) {
    const at = dice.below(found.length + 1);
    const [before, after] = [found.slice(0, at), found.slice(at)];
    const kind = dice.below(6);
    if (kind === 0) found = before + String.fromCharCode(dice.below(256)) + after.slice(1);
    else if (kind === 1) found = before + after.slice(1 + dice.below(4));
    else if (kind <= 3) found = before + one(SPOILERS, dice) + after;
    else if (kind === 4) found = withLineTwice(found, dice);
    else found = found.replace(/\r\n/, dice.below(2) === 0 ? "\n" : "\r");
  }
  return found;
}

/** Cuts into pieces, by lot. */
export function inPieces(text: string, dice: Dice): readonly string[] {
  const pieces: string[] = [];
  let at = 0;
  while (at < text.length) {
    const length = 1 + (dice.below(3) === 0 ? dice.below(4) : dice.below(60));
    pieces.push(text.slice(at, at + length));
    at += length;
  }
  return pieces;
}

function fieldsOf(dice: Dice): string[] {
  const fields: string[] = [];
  for (let count = dice.below(4); count > 0; count--) {
    const space = dice.below(6) === 0 ? one(["", "  ", "\t"], dice) : " ";
    fields.push(`${one(NAMES, dice)}:${space}${one(VALUES, dice)}`);
  }
  return fields;
}

/** The field lines that frame a body, and the body in that frame. */
function bodyOf(dice: Dice, isNone: boolean): readonly [string[], string] {
  if (isNone) return [[], ""];
  const body = "b".repeat(dice.below(20));
  const kind = dice.below(10);
  if (kind < 4) return [[`Content-Length: ${lengthOf(body.length, dice)}`], body];
  if (kind < 8) return [[`Transfer-Encoding: ${one(CODINGS, dice)}`], chunksOf(body, dice)];
  const both = [`Content-Length: ${body.length}`, "Transfer-Encoding: chunked"];
  if (kind === 8) return [both, chunksOf(body, dice)];
  return [[`Content-Length: ${body.length}`, `Content-Length: ${body.length + dice.below(2)}`], body];
}

function lengthOf(length: number, dice: Dice): string {
  const odd = [
    `+${length}`,
    `0${length}`,
    `${length}, ${length}`,
    `${length + 1}`,
    `0x${length}`,
    `${length}.0`,
    `-${length}`,
  ];
  return dice.below(5) === 0 ? one(odd, dice) : `${length}`;
}

function chunksOf(body: string, dice: Dice): string {
  let text = "";
  let at = 0;
  while (at < body.length) {
    const size = Math.min(body.length - at, 1 + dice.below(8));
    text += `${sizeOf(size, dice)}\r\n${body.slice(at, at + size)}\r\n`;
    at += size;
  }
  const trailers =
    dice.below(4) === 0
      ? one(["X-T: 1\r\n", "Content-Length: 9\r\n", "Host: evil\r\n", "X : 1\r\n"], dice)
      : "";
  return `${text}0\r\n${trailers}\r\n`;
}

function sizeOf(size: number, dice: Dice): string {
  const hex = size.toString(16);
  if (dice.below(4) > 0) return hex;
  return one(
    [
      `0${hex}`,
      hex.toUpperCase(),
      `${hex};a=b`,
      `${hex};a="\r"`,
      `+${hex}`,
      `0x${hex}`,
      `${hex} `,
      `1000000000000000${hex}`,
      "",
    ],
    dice,
  );
}

function withLineTwice(text: string, dice: Dice): string {
  const lines = text.split("\r\n");
  const at = dice.below(lines.length);
  lines.splice(at, 0, lines[dice.below(lines.length)] ?? "");
  return lines.join("\r\n");
}

function shuffled(lines: readonly string[], dice: Dice): string[] {
  const found = [...lines];
  for (let at = found.length - 1; at > 0; at--) {
    const other = dice.below(at + 1);
    [found[at], found[other]] = [found[other] ?? "", found[at] ?? ""];
  }
  return found;
}

function one<Item>(items: readonly Item[], dice: Dice): Item {
  const item = items[dice.below(items.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}
