// One spelling: what becomes of a request's path and host before anything is matched, what is refused, and that no rule on a path can be passed
// by spelling it otherwise.
import fc from "fast-check";
import { test } from "tap";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { CONFIG_REJECTED } from "../../src/proxy/compile/problems.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { findRoute } from "../../src/proxy/route/match.ts";
import {
  AS_SPELT,
  ESCAPED_SLASH,
  PORT_STRIP,
  respell,
  type Spelling,
} from "../../src/proxy/route/normalise.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import { fromJson, RouteConfigurationSchema } from "../../src/xds/types.ts";
import { type Json, recordingOrigin, startProxy, talk } from "./support.ts";

const RUNS = Number(process.env.WEIR_PROPERTY_RUNS ?? 500);
const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };
const NORMAL: Spelling = { ...AS_SPELT, isPathNormal: true, isSlashMerged: true };
const UNESCAPING: Spelling = { ...NORMAL, escapedSlash: ESCAPED_SLASH.UNESCAPE };
const REJECTING: Spelling = { ...NORMAL, escapedSlash: ESCAPED_SLASH.REJECT };

/** The request as it is spelt afterwards, or the reason of a refusal. */
function respelt(
  target: string,
  spelling: Spelling,
  host = "a.test",
  port = 80,
): { readonly path: string; readonly query: string; readonly host: string } | string {
  const parser = new HeadParser();
  parser.reset(KIND.REQUEST);
  const bytes = Buffer.from(
    `..GET ${target} HTTP/1.1\r\nx-a: 1\r\nhost: ${host}\r\nx-b: 2\r\n\r\n!`,
    "latin1",
  );
  if (parser.run(bytes, 2, bytes.length) !== 1) return parser.refused.reason;
  const { head } = parser;
  const refused = respell(head, spelling, { port });
  if (refused !== null) return refused.reason;
  const part = (start: number, end: number): string =>
    head.bytes.toString("latin1", head.base + start, head.base + end);
  // The fields are where they were.
  const { fields } = head;
  if (part(fields[0]!, fields[3]!) !== "x-a: 1" || part(fields[8]!, head.length) !== "x-b: 2\r\n\r\n")
    throw new Error("fields moved");
  return {
    path: part(head.pathStart, head.pathEnd),
    query: part(head.pathEnd, head.targetEnd),
    host: part(head.authorityStart, head.authorityEnd),
  };
}

function pathOf(target: string, spelling: Spelling): string {
  const found = respelt(target, spelling);
  return typeof found === "string" ? found : found.path + found.query;
}

test("normalise: a path is respelt as RFC 3986 says, and stays as it is without a rule", (t) => {
  const cases: readonly (readonly [string, string])[] = [
    ["/", "/"],
    ["/a/b?x=/../%61//", "/a/b?x=/../%61//"],
    ["/%61%7E%2d", "/a~-"],
    ["/a%3ab%c3%a9", "/a%3Ab%C3%A9"],
    ["/a%2fb", "/a%2Fb"],
    ["/a%252fb", "/a%252fb"],
    ["/a//b///c", "/a/b/c"],
    ["//", "/"],
    ["/a/./b/../c", "/a/c"],
    ["/a//../b", "/a/b"],
    ["/..", "/"],
    ["/.", "/"],
    ["/a/..", "/"],
    ["/a/.", "/a/"],
    ["/../../a", "/a"],
    ["/%2e%2e/a/%2e/b/.%2E", "/a/"],
    ["/...", "/..."],
    ["/.a/..b", "/.a/..b"],
    ["/a/..;x=1/b", "/b"],
    ["/a/%2e%2e;/b", "/b"],
    ["/a/.;/b", "/a/b"],
    ["/a;x/../b", "/b"],
    ["/a\\b\\..\\c", "/a/c"],
    ['/a{b}|c^[d]`<>"', "/a%7Bb%7D%7Cc%5E%5Bd%5D%60%3C%3E%22"],
    ["/a%7bb%7D", "/a%7Bb%7D"],
    ["/!$&'()*+,;=:@", "/!$&'()*+,;=:@"],
    ["/%21%40", "/%21%40"],
    ["http://b.test/a/../c?q", "/c?q"],
    ["/a%00b", "escaped NUL in the path"],
    ["/a%", "malformed percent-encoding in the path"],
    ["/a%4", "malformed percent-encoding in the path"],
    ["/a%zz", "malformed percent-encoding in the path"],
    ["/%%36%31", "malformed percent-encoding in the path"],
    ["/a%?20", "malformed percent-encoding in the path"],
    ["/a?%zz", "/a?%zz"],
    ["/a#b", "malformed request target"],
    [`/${"|".repeat(5_000)}`, `/${"%7C".repeat(5_000)}`],
  ];
  for (const [target, want] of cases) t.equal(pathOf(target, NORMAL), want, target.slice(0, 60));
  for (const target of ["/a/../b//%61%zz\\%2f{}", "/..;/%00"]) t.equal(pathOf(target, AS_SPELT), target);
  t.strictSame(respelt("http://b.test", NORMAL), { path: "", query: "", host: "b.test" });
  t.end();
});

test("normalise: an escaped slash is kept, refused or a slash", (t) => {
  const cases: readonly (readonly [string, string, string])[] = [
    ["/a%2fb", "escaped slash in the path", "/a/b"],
    ["/a%5Cb", "escaped slash in the path", "/a/b"],
    ["/a/..%2f..%2fb", "escaped slash in the path", "/b"],
    ["/a%2f%2fb", "escaped slash in the path", "/a/b"],
    ["/a%252fb?%2f", "/a%252fb?%2f", "/a%252fb?%2f"],
  ];
  for (const [target, rejected, unescaped] of cases) {
    t.equal(pathOf(target, REJECTING), rejected, target);
    t.equal(pathOf(target, UNESCAPING), unescaped, target);
  }
  const only = (escapedSlash: number): Spelling => ({ ...AS_SPELT, escapedSlash });
  t.equal(pathOf("/%61%2f../%5cb//%zz", only(ESCAPED_SLASH.UNESCAPE)), "/%61/../\\b//%zz");
  t.equal(pathOf("/%61%5c", only(ESCAPED_SLASH.REJECT)), "escaped slash in the path");
  t.equal(pathOf("/%61//../b", { ...AS_SPELT, isSlashMerged: true }), "/%61/../b");
  t.end();
});

test("normalise: ports and trailing dots are taken off hosts where that is asked for", (t) => {
  const host = (name: string, spelling: Partial<Spelling>, target = "/"): string => {
    const found = respelt(target, { ...AS_SPELT, ...spelling }, name, 8080);
    return typeof found === "string" ? found : found.host;
  };
  const own = { portStrip: PORT_STRIP.OWN };
  const any = { portStrip: PORT_STRIP.ANY };
  const dot = { isDotStripped: true };
  const cases: readonly (readonly [string, Partial<Spelling>, string])[] = [
    ["A.test:8080", own, "A.test"],
    ["a.test:80", own, "a.test:80"],
    ["a.test:08080", own, "a.test"],
    ["a.test.:8080", own, "a.test."],
    ["[::1]:8080", own, "[::1]"],
    ["[::8080]", own, "[::8080]"],
    ["a.test:", own, "a.test:"],
    ["a.test:80", any, "a.test"],
    ["a.test", any, "a.test"],
    ["a.test.", dot, "a.test"],
    ["a.test.:80", dot, "a.test:80"],
    ["a.test..", dot, "a.test."],
    [".", dot, "."],
    ["a.test.:80", { ...dot, ...any }, "a.test"],
    ["a.test.:80", {}, "a.test.:80"],
  ];
  for (const [name, spelling, want] of cases)
    t.equal(host(name, spelling), want, `${name} ${JSON.stringify(spelling)}`);
  t.equal(host("a.test", { ...dot, ...any }, "http://b.test.:9/x"), "b.test");
  t.strictSame(respelt("/|", { ...NORMAL, ...dot }, "a.test.:9"), {
    path: "/%7C",
    query: "",
    host: "a.test:9",
  });
  t.end();
});

/** A path in its one spelling, as segments, and any number of ways to spell it. */
const plainChar = fc.constantFrom(..."abzAZ09-._~!$&'()*+,;=:@");
const hidden = fc.constantFrom("%7B", "%C3", "%20", "%25", "%3F", "%23");
const segment = fc
  .array(fc.oneof({ weight: 4, arbitrary: plainChar }, hidden), { minLength: 1, maxLength: 5 })
  .map((chars) => chars.join(""))
  .filter((text) => !/^\.\.?(;|$)/.test(text));
const choices = fc.array(fc.nat(99), { minLength: 1, maxLength: 40 });

test("normalise: every spelling of a path comes out as one, so that its rule serves it", (t) => {
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 4 }), fc.boolean(), choices, (segments, isFolder, picks) => {
      const path = `/${segments.join("/")}${isFolder && segments.length > 0 ? "/" : ""}`;
      const table = compileRoutes(
        // Exactly this path, the folder above it by prefix, and everything else.
        fromJson(RouteConfigurationSchema, {
          virtual_hosts: [
            {
              name: "all",
              domains: ["*"],
              routes: [
                { name: "guarded", match: { path }, route: { cluster: "c" } },
                { name: "open", match: { prefix: "/" }, route: { cluster: "c" } },
              ],
            },
          ],
        }),
        "1",
        () => 0,
      );
      const spelt = disguised(path, picks);
      t.equal(pathOf(spelt, UNESCAPING), path, spelt);
      const parser = new HeadParser();
      parser.reset(KIND.REQUEST);
      const bytes = Buffer.from(`GET ${spelt}?q HTTP/1.1\r\nhost: a\r\n\r\n`, "latin1");
      parser.run(bytes, 0, bytes.length);
      respell(parser.head, UNESCAPING, { port: 80 });
      t.equal(findRoute(table, parser.head, new Dice(1))?.name, "guarded", spelt);
    }),
    { seed: 31, numRuns: RUNS },
  );
  t.end();
});

/** The same path, spelt otherwise. */
function disguised(path: string, picks: readonly number[]): string {
  let turn = 0;
  const pick = (bound: number): number => picks[turn++ % picks.length]! % bound;
  const hexed = (char: string): string => {
    const hex = char.charCodeAt(0).toString(16).padStart(2, "0");
    return `%${pick(2) === 0 ? hex : hex.toUpperCase()}`;
  };
  // A target begins with a slash as it is.
  const slashes = [
    "/",
    "//",
    "/./",
    "/x/../",
    "/.;a/",
    "/x/%2e%2e/",
    "/y%2f..%2F",
    "/%2E/",
    "\\",
    "%2f",
    "%5C",
  ];
  const slash = (at: number): string => slashes[pick(at === 0 ? 8 : slashes.length)] ?? "/";
  return path.replace(/%..|\/|[A-Za-z0-9\-._~]/g, (part, at: number) => {
    if (part === "/") return slash(at);
    if (part.startsWith("%"))
      return part === "%7B" && pick(2) === 0 ? "{" : pick(2) === 0 ? part.toLowerCase() : part;
    return pick(4) === 0 ? hexed(part) : part;
  });
}

test("normalise: what comes out is in its one spelling, and stays so", (t) => {
  const target = fc
    .array(
      fc.constantFrom(
        "a",
        "/",
        "/",
        ".",
        "..",
        "%2e",
        "%2F",
        "%5c",
        "\\",
        ";",
        "%61",
        "%7b",
        "{",
        "~",
        "%25",
        "61",
        "%",
      ),
      { maxLength: 14 },
    )
    .map((parts) => `/${parts.join("")}`);
  fc.assert(
    fc.property(target, fc.constantFrom(NORMAL, UNESCAPING, REJECTING), (spelt, spelling) => {
      const path = pathOf(spelt, spelling);
      if (!path.startsWith("/")) return;
      t.notMatch(path, /\/\/|\\|[{}]|\/\.\.?([/;]|$)|%(?![0-9A-F]{2})|%(2E|61|7E|6[1-9A-F])/, spelt);
      if (spelling !== NORMAL) t.notMatch(path, /%2F|%5C/, spelt);
      t.equal(pathOf(path, spelling), path, spelt);
    }),
    { seed: 32, numRuns: RUNS },
  );
  t.end();
});

test("normalise: the respelt form is matched, forwarded, and nothing else of the request changes", async (t) => {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const { port } = await startProxy(t, {
    clusters: { one: [origin.port] },
    hcm: {
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: "REJECT_REQUEST",
      strip_any_host_port: true,
      strip_trailing_host_dot: true,
    },
    virtualHosts: [
      { name: "a", domains: ["a.test"], routes: [{ match: { prefix: "/in/" }, route: { cluster: "one" } }] },
    ],
  });
  const get = (target: string, host: string): string =>
    `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nX-One: 1\r\n\r\n`;
  const ask = async (target: string, host = "A.Test.:99"): Promise<string> =>
    (await talk(port, get(target, host), ANSWERED)).text.slice(9, 12);
  t.equal(await ask("/out/../in//%61?b=//"), "200");
  t.equal(await ask("/in/|{"), "200");
  t.equal(await ask("http://a.test.:1/in/./x", "other.test"), "200");
  t.equal(await ask("/in/../out"), "404");
  t.equal(await ask("/in/%2e%2e/out"), "404");
  t.equal(await ask("/in/a%2fb"), "400");
  t.equal(await ask("/in/%"), "400");
  const seen = origin.seen.map(({ url, headers }) => [url, headers.host, headers["x-one"]]);
  t.strictSame(seen, [
    ["/in/a?b=//", "A.Test", "1"],
    ["/in/%7C%7B", "A.Test", "1"],
    ["/in/x", "a.test", "1"],
  ]);
  // A head that had to grow does not lose the requests and bodies behind it.
  const post = `POST /in/||| HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nhello`;
  const { text } = await talk(
    port,
    post + get("/in/2", "a.test") + post.replace("5", "5\r\nConnection: close"),
  );
  t.equal(text.match(/HTTP\/1\.1 200/g)?.length, 3);
  t.strictSame(
    origin.seen.slice(3).map(({ url, body }) => [url, body]),
    [
      ["/in/%7C%7C%7C", "hello"],
      ["/in/2", ""],
      ["/in/%7C%7C%7C", "hello"],
    ],
  );
});

test("normalise: a listener that contradicts itself, or asks for a redirect, is rejected", async (t) => {
  const start = (hcm: Record<string, Json>) => startProxy(t, { clusters: {}, hcm });
  await t.rejects(start({ strip_any_host_port: true, strip_matching_host_port: true }), {
    code: CONFIG_REJECTED,
    message: /strip_any_host_port cannot be set together with strip_matching_host_port/,
  });
  await t.rejects(start({ path_with_escaped_slashes_action: "UNESCAPE_AND_REDIRECT" }), {
    code: CONFIG_REJECTED,
    message: /path_with_escaped_slashes_action .*UNESCAPE_AND_REDIRECT/,
  });
});
