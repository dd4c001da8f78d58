// [hot] What the rules of routes look at in one request: head and path, and, once a rule asks, its query and cookies. One instance serves
// every request of the event loop: matching is synchronous.

import { Head } from "../http1/head.ts";
import { Pairs, readCookies, readQuery } from "../route/pairs.ts";
import { hasParameters, writePlain } from "../route/parameters.ts";
import { QUESTION } from "../wire/bytes.ts";

const ROOT = Buffer.from("/");
const ASTERISK = 0x2a;

/** See the head of this file. */
export class Facts {
  head: Head = new Head();
  /** The path without the query; an absolute target without one, and the asterisk form, count as `/`. */
  path: Buffer = ROOT;
  pathStart = 0;
  pathEnd = 0;
  /** Of [0, WHOLE), for routes that serve a share of requests; drawn only where there are any. */
  chance = 0;
  /** The path without its parameters. */
  #plain = Buffer.alloc(0);
  readonly #query = new Pairs();
  readonly #cookies = new Pairs();
  #hasQuery = false;
  #hasCookies = false;

  /** Turns to another request. */
  of(head: Head): void {
    this.head = head;
    this.#hasQuery = false;
    this.#hasCookies = false;
    const start = head.base + head.pathStart;
    const isRoot = head.pathStart === head.pathEnd || head.bytes[start] === ASTERISK;
    this.path = isRoot ? ROOT : head.bytes;
    this.pathStart = isRoot ? 0 : start;
    this.pathEnd = isRoot ? 1 : head.base + head.pathEnd;
  }

  /** From here on the path of this request is the one without parameters. */
  ignoreParameters(): void {
    const { path, pathStart, pathEnd } = this;
    if (!hasParameters(path, pathStart, pathEnd)) return;
    if (this.#plain.length < pathEnd - pathStart) this.#plain = Buffer.alloc(2 * (pathEnd - pathStart));
    this.pathEnd = writePlain(this.#plain, path, pathStart, pathEnd);
    this.pathStart = 0;
    this.path = this.#plain;
  }

  get query(): Pairs {
    if (!this.#hasQuery) {
      this.#hasQuery = true;
      const { bytes, base, pathEnd, targetEnd } = this.head;
      const hasQuery = bytes[base + pathEnd] === QUESTION && pathEnd < targetEnd;
      readQuery(this.#query, bytes, hasQuery ? base + pathEnd + 1 : 0, hasQuery ? base + targetEnd : 0);
    }
    return this.#query;
  }

  get cookies(): Pairs {
    if (!this.#hasCookies) {
      this.#hasCookies = true;
      readCookies(this.#cookies, this.head);
    }
    return this.#cookies;
  }
}
