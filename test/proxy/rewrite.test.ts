// What routes change about requests and answers: fields, path, host; and what they may not touch.
import fc from "fast-check";
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { compileEdits } from "../../src/proxy/compile/compileedits.ts";
import { Problems } from "../../src/proxy/compile/problems.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { writeEdited } from "../../src/proxy/route/edits.ts";
import { CONFIG_REJECTED, createProxy } from "../../src/proxy/server.ts";
import { ByteStore } from "../../src/proxy/wire/bytestore.ts";
import {
  HeaderValueOption_HeaderAppendAction as Action,
  BootstrapSchema,
  create,
  fromJson,
  HeaderValueOptionSchema,
  RouteConfigurationSchema,
  registry,
} from "../../src/xds/types.ts";
import {
  bootstrapOf,
  type Json,
  type Origin,
  rawOrigin,
  recordingOrigin,
  scripted,
  startProxy,
  talk,
} from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };
const CLOSING = "Connection: close";

const field = (key: string, value: string, action?: string): Json => ({
  header: { key, value },
  ...(action === undefined ? {} : { append_action: action }),
});

interface Setup {
  readonly origin: Origin;
  /** Sends a request and returns the answer, both whole. */
  ask(request: string, ...lines: readonly string[]): Promise<string>;
}

/** A proxy with these routes (or this route configuration) to one origin, cluster `a`. */
async function setup(
  t: Test,
  routes: readonly Json[],
  config: Readonly<Record<string, Json>> = {},
  host: Readonly<Record<string, Json>> = {},
): Promise<Setup> {
  const origin = await recordingOrigin(t, (_seen, response) => {
    response.setHeader("X-Origin", "one");
    response.setHeader("X-Twice", ["1", "2"]);
    response.end("body");
  });
  const virtualHosts = [{ name: "all", domains: ["*"], routes: [...routes], ...host }];
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    hcm: { route_config: { name: "static", virtual_hosts: virtualHosts, ...config } },
  });
  const ask = async (request: string, ...lines: readonly string[]): Promise<string> =>
    (
      await talk(
        port,
        [`${request} HTTP/1.1`, "Host: shop.test:81", ...lines, CLOSING, "", ""].join("\r\n"),
        ANSWERED,
      )
    ).text;
  return { origin, ask };
}

const to = (more: Readonly<Record<string, Json>> = {}, route: Readonly<Record<string, Json>> = {}): Json => ({
  match: { prefix: "/" },
  route: { cluster: "a", ...route },
  ...more,
});

/** Fields as the origin got them, by lower-case name, without those that the proxy itself states. */
function fieldsAt(origin: Origin): string[] {
  const raw = origin.seen.at(-1)?.rawHeaders ?? [];
  const own = /^(host|connection|x-forwarded-.*|x-request-id)$/i;
  return raw.flatMap((name, i) =>
    i % 2 === 0 && !own.test(name) ? [`${name.toLowerCase()}: ${raw[i + 1]}`] : [],
  );
}

test("rewrite: request fields are added, overwritten and removed by their action", async (t) => {
  const { origin, ask } = await setup(t, [
    to({
      request_headers_to_add: [
        field("X-Append", "new"),
        field("X-Absent", "new", "ADD_IF_ABSENT"),
        field("X-Over", "new", "OVERWRITE_IF_EXISTS_OR_ADD"),
        field("X-There", "new", "OVERWRITE_IF_EXISTS"),
        field("X-Empty", ""),
        { header: { key: "X-Kept-Empty" }, keep_empty_value: true },
        { header: { key: "X-Old-Append", value: "new" }, append: true },
        { header: { key: "X-Old-Over", value: "new" }, append: false },
        { header: { key: "X-Raw", raw_value: Buffer.from("raw").toString("base64") } },
        field("X-Client", "<%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%> 100%% of %UPSTREAM_CLUSTER%"),
      ],
      request_headers_to_remove: ["X-Gone", "x-nothing"],
    }),
  ]);
  const names = ["append", "absent", "over", "there", "old-append", "old-over", "gone", "other"];
  await ask("GET /", ...names.map((name) => `x-${name}: old`), "X-GONE: again");
  const always = ["x-kept-empty: ", "x-raw: raw", "x-client: <127.0.0.1> 100% of a"];
  t.strictSame(
    fieldsAt(origin).sort(),
    [
      "x-append: old",
      "x-append: new",
      "x-absent: old",
      "x-over: new",
      "x-there: new",
      "x-old-append: old",
      "x-old-append: new",
      "x-old-over: new",
      "x-other: old",
      ...always,
    ].sort(),
  );
  await ask("GET /");
  t.strictSame(
    fieldsAt(origin).sort(),
    [
      "x-append: new",
      "x-absent: new",
      "x-over: new",
      "x-old-append: new",
      "x-old-over: new",
      ...always,
    ].sort(),
  );
});

test("rewrite: answers' fields are edited the same way, and their framing is not touched", async (t) => {
  const { ask } = await setup(t, [
    to({
      response_headers_to_add: [
        field("X-Origin", "two", "OVERWRITE_IF_EXISTS_OR_ADD"),
        field("X-Twice", "3"),
        field("Strict-Transport-Security", "max-age=1", "ADD_IF_ABSENT"),
      ],
      response_headers_to_remove: ["date"],
    }),
  ]);
  const answer = await ask("GET /");
  t.match(answer, /^HTTP\/1\.1 200 OK\r\n/);
  t.match(answer, /\r\nX-Twice: 1\r\nX-Twice: 2\r\n/);
  t.match(answer, /\r\nx-origin: two\r\nx-twice: 3\r\nstrict-transport-security: max-age=1\r\n/);
  t.match(answer, /\r\ncontent-length: 4\r\n[\s\S]*\r\n\r\nbody$/);
  t.notMatch(answer, /^(date|X-Origin: one)/m);
});

test("rewrite: version, route, host and configuration apply in this order, or with the most specific last", async (t) => {
  const level = (name: string): Record<string, Json> => ({
    request_headers_to_add: [
      field("x-over", name, "OVERWRITE_IF_EXISTS_OR_ADD"),
      field("x-first", name, "ADD_IF_ABSENT"),
      field("x-all", name),
    ],
    response_headers_to_add: [field("x-over", name, "OVERWRITE_IF_EXISTS_OR_ADD")],
  });
  for (const isTurned of [false, true]) {
    const route = {
      match: { prefix: "/" },
      route: { weighted_clusters: { clusters: [{ name: "a", weight: 1, ...level("version") }] } },
      ...level("route"),
    };
    const config = { ...level("config"), most_specific_header_mutations_wins: isTurned };
    const { origin, ask } = await setup(t, [route], config, level("host"));
    const answer = await ask("GET /");
    const order = isTurned ? ["version", "config", "host", "route"] : ["version", "route", "host", "config"];
    t.strictSame(fieldsAt(origin), [
      `x-over: ${order[3]}`,
      "x-first: version",
      ...order.map((name) => `x-all: ${name}`),
    ]);
    t.match(answer, new RegExp(`^x-over: ${order[3]}\\r$`, "m"));
  }
});

test("rewrite: versions have edits and a host of their own", async (t) => {
  const clusters = ["a", "b"].map((name) => ({
    name,
    weight: 1,
    request_headers_to_add: [field("x-version", name)],
    response_headers_to_add: [field("x-served-by", name)],
    host_rewrite_literal: `${name}.internal`,
  }));
  const a = await recordingOrigin(t);
  const b = await recordingOrigin(t);
  const { port } = await startProxy(t, {
    clusters: { a: [a.port], b: [b.port] },
    routes: [{ match: { prefix: "/" }, route: { weighted_clusters: { clusters } } }],
  });
  for (let i = 0; i < 20; i++) {
    const { text } = await talk(port, `GET / HTTP/1.1\r\nHost: x\r\n${CLOSING}\r\n\r\n`, ANSWERED);
    t.match(text, /^x-served-by: [ab]\r$/m);
  }
  for (const [name, origin] of [
    ["a", a],
    ["b", b],
  ] as const) {
    t.ok(origin.seen.length > 0);
    t.ok(
      origin.seen.every(
        ({ headers }) => headers["x-version"] === name && headers.host === `${name}.internal`,
      ),
    );
  }
});

test("rewrite: the matched prefix, or the whole of an exact path, is replaced; the query stays", async (t) => {
  const route = (match: Json, prefix: string): Json => ({
    match,
    route: { cluster: "a", prefix_rewrite: prefix },
  });
  const { origin, ask } = await setup(t, [
    route({ path: "/exact" }, "/whole"),
    route({ path_separated_prefix: "/api" }, "/v2"),
    route({ prefix: "/Case", case_sensitive: false }, "/low"),
    route({ safe_regex: { regex: "/re/\\d+" } }, "/pattern"),
    route({ prefix: "/old/" }, "/"),
    route({ prefix: "/" }, "/all/"),
  ]);
  for (const [asked, want] of [
    ["/exact?q=/exact", "/whole?q=/exact"],
    ["/api", "/v2"],
    ["/api/users?x", "/v2/users?x"],
    ["/cASE/x", "/low/x"],
    ["/re/12", "/pattern"],
    ["/old/x/", "/x/"],
    ["/old/", "/"],
    ["/other", "/all/other"],
    ["/", "/all/"],
    ["http://shop.test/api/abs?y", "/v2/abs?y"],
    ["http://shop.test", "/all/"],
    ["http://shop.test?z", "/all/?z"],
  ] as const) {
    await ask(`GET ${asked}`);
    t.equal(origin.seen.at(-1)?.url, want, asked);
    t.equal(origin.seen.at(-1)?.headers.host, asked.startsWith("http") ? "shop.test" : "shop.test:81");
  }
  await ask("OPTIONS *");
  t.equal(origin.seen.at(-1)?.url, "*", "the asterisk form has no path to rewrite");
});

test("rewrite: a prefix that is no whole segment does not lead out of what replaces it", async (t) => {
  const origin = await recordingOrigin(t);
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    routes: [{ match: { prefix: "/img" }, route: { cluster: "a", prefix_rewrite: "/files/" } }],
    hcm: { normalize_path: true, merge_slashes: true },
  });
  for (const [asked, want] of [
    ["/img../secret", "/files/secret"],
    ["/img%2e%2e/secret?../q", "/files/secret?../q"],
    ["/img..;x/secret", "/files/secret"],
    ["/img./a", "/files/a"],
    ["/img..", "/files/"],
    ["/img...", "/files/..."],
    ["/img.a/b", "/files/.a/b"],
  ] as const) {
    await talk(port, `GET ${asked} HTTP/1.1\r\nHost: a\r\n${CLOSING}\r\n\r\n`, ANSWERED);
    t.equal(origin.seen.at(-1)?.url, want, asked);
  }
});

test("rewrite: host and path may change together; bodies, HTTP/1.0 and hop-by-hop fields go the usual way", async (t) => {
  const { origin, ask } = await setup(t, [
    to(
      { request_headers_to_remove: ["x-gone"] },
      { host_rewrite_literal: "inner.test:8080", prefix_rewrite: "/in/" },
    ),
  ]);
  await ask("POST /a", "Content-Length: 5", "X-Gone: 1", "Keep-Alive: 1", "Max-Forwards: 3", "", "hello");
  const seen = origin.seen.at(-1);
  t.match(seen, { method: "POST", url: "/in/a", body: "hello" });
  t.equal(seen?.headers.host, "inner.test:8080");
  t.strictSame(fieldsAt(origin), ["max-forwards: 3", "content-length: 5"]);
  await ask("OPTIONS /a", "Max-Forwards: 3");
  t.equal(origin.seen.at(-1)?.headers["max-forwards"], "2");
  await ask("PUT /a", "Transfer-Encoding: chunked", "", "3\r\nabc\r\n0\r\nX-T: 1\r\n");
  t.match(origin.seen.at(-1), { body: "abc", url: "/in/a" });
});

test("rewrite: where the host changes, X-Forwarded-Host can tell the one that came", async (t) => {
  const { origin, ask } = await setup(t, [
    to({}, { host_rewrite_literal: "inner.test", append_x_forwarded_host: true }),
  ]);
  const told = async (...lines: string[]): Promise<unknown> => {
    await ask("GET /", ...lines);
    const seen = origin.seen.at(-1);
    t.equal(seen?.headers.host, "inner.test");
    return seen?.headers["x-forwarded-host"];
  };
  t.equal(await told(), "shop.test:81");
  t.equal(await told("X-Forwarded-Host: edge.test"), "edge.test, shop.test:81");
  t.equal(await told("X-Forwarded-Host: "), "shop.test:81");
  t.equal(
    await told("X-Forwarded-Host: shop.test:81", "x-forwarded-host: b"),
    "shop.test:81, b, shop.test:81",
  );
  t.equal(origin.seen.at(-1)?.rawHeaders.filter((name) => /^x-forwarded-host$/i.test(name)).length, 1);
  const kept = await setup(t, [to({}, { prefix_rewrite: "/in/", append_x_forwarded_host: true })]);
  await kept.ask("GET /");
  t.equal(kept.origin.seen.at(-1)?.headers["x-forwarded-host"], undefined, "the host is as it came");
});

test("rewrite: the proxy's own answers in a route's place carry its edits", async (t) => {
  const { port } = await startProxy(t, {
    clusters: { dead: [] },
    routes: [
      {
        match: { prefix: "/" },
        route: { cluster: "dead" },
        response_headers_to_add: [field("access-control-allow-origin", "*")],
        response_headers_to_remove: ["x-weir-reason"],
      },
    ],
  });
  const { text } = await talk(port, `GET / HTTP/1.1\r\nHost: x\r\n${CLOSING}\r\n\r\n`, ANSWERED);
  t.match(text, /^HTTP\/1\.1 503 Service Unavailable\r\n/);
  t.match(text, /\r\naccess-control-allow-origin: \*\r\n[\s\S]*\r\n\r\nno healthy upstream\n$/);
  t.notMatch(text, /x-weir-reason/);
});

/** Mutations of one level, and names that fields may have. */
const NAMES = ["x-a", "x-b", "x-c"] as const;
const edit = fc.record({
  key: fc.constantFrom(...NAMES, "X-A"),
  value: fc.constantFrom("1", "2", ""),
  action: fc.constantFrom(
    Action.APPEND_IF_EXISTS_OR_ADD,
    Action.ADD_IF_ABSENT,
    Action.OVERWRITE_IF_EXISTS_OR_ADD,
    Action.OVERWRITE_IF_EXISTS,
  ),
  keepEmpty: fc.boolean(),
});
const level = fc.record({
  edits: fc.array(edit, { maxLength: 5 }),
  removed: fc.array(fc.constantFrom(...NAMES), { maxLength: 2 }),
});

test("rewrite: what was worked out beforehand is what applying level by level gives", (t) => {
  const present = fc.array(fc.tuple(fc.constantFrom("x-a", "X-B", "x-c", "x-d"), fc.constantFrom("o", "p")), {
    maxLength: 6,
  });
  fc.assert(
    fc.property(fc.array(level, { maxLength: 4 }), present, (levels, fields) => {
      let plain: (readonly [string, string])[] = fields.map(([name, value]) => [name.toLowerCase(), value]);
      for (const { edits, removed } of levels) {
        plain = plain.filter(([name]) => !removed.some((one) => one === name));
        const before = new Set(plain.map(([name]) => name));
        const added: [string, string][] = [];
        const over: [string, string][] = [];
        for (const { key, value, action, keepEmpty } of edits) {
          const name = key.toLowerCase();
          if (value === "" && !keepEmpty) continue;
          if (action === Action.APPEND_IF_EXISTS_OR_ADD) added.push([name, value]);
          if (action === Action.ADD_IF_ABSENT && !before.has(name)) added.push([name, value]);
          if (action === Action.OVERWRITE_IF_EXISTS_OR_ADD) over.push([name, value]);
          if (action === Action.OVERWRITE_IF_EXISTS && before.has(name)) over.push([name, value]);
        }
        for (const [name, value] of over) plain = [...plain.filter(([one]) => one !== name), [name, value]];
        plain = [...plain, ...added];
      }
      t.strictSame(edited(levels, fields), plain.map(([name, value]) => `${name}: ${value}`).sort());
    }),
    { seed: 4, numRuns: 400 },
  );
  t.end();
});

/** The lines that come of a head with those fields. */
function edited(
  levels: readonly {
    readonly edits: readonly { key: string; value: string; action: Action; keepEmpty: boolean }[];
    readonly removed: readonly string[];
  }[],
  fields: readonly (readonly [string, string])[],
): string[] {
  const problems = new Problems("routes", create(RouteConfigurationSchema, {}));
  const compiled = compileEdits(
    levels.map(({ edits, removed }) => ({
      add: edits.map(({ key, value, action, keepEmpty }) =>
        create(HeaderValueOptionSchema, {
          header: { key, value },
          appendAction: action,
          keepEmptyValue: keepEmpty,
        }),
      ),
      addAt: "add",
      remove: removed,
      removeAt: "remove",
    })),
    { cluster: "c", route: "r" },
    problems,
  );
  problems.throwIfAny();
  const text = `GET / HTTP/1.1\r\nHost: a\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  const parser = new HeadParser();
  parser.reset(KIND.REQUEST);
  parser.run(Buffer.from(text), 0, text.length);
  const out = new ByteStore();
  if (compiled === null) return fields.map(([name, value]) => `${name.toLowerCase()}: ${value}`).sort();
  writeEdited(out, parser.head, new Uint8Array(32), compiled, Buffer.alloc(0));
  const lines = out.bytes.toString("latin1", out.start, out.end).split("\r\n").slice(0, -1);
  return lines
    .map((line) => line.replace(/^[^:]+/, (name) => name.toLowerCase()))
    .filter((line) => line !== "host: a")
    .sort();
}

const UNTOUCHABLE = [
  "Content-Length",
  "transfer-encoding",
  "connection",
  "host",
  "TE",
  "upgrade",
  "keep-alive",
  "x-forwarded-for",
].map((name): [Readonly<Record<string, Json>>, RegExp] => [
  { request_headers_to_add: [field(name, "1")] },
  new RegExp(`request_headers_to_add\\[0\\]\\.header\\.key is ${name.toLowerCase()}, which may not`),
]);

test("rewrite: what may not be changed, or has no meaning, is refused with its path", (t) => {
  const many = Array.from({ length: 129 }, (_, i) => field(`x-${i}`, "1"));
  const cases: readonly (readonly [more: Readonly<Record<string, Json>>, message: RegExp])[] = [
    ...UNTOUCHABLE,
    [
      { response_headers_to_remove: ["x", "connection"] },
      /response_headers_to_remove\[1\] is connection, which may not/,
    ],
    [{ request_headers_to_add: [field(":path", "/")] }, /header\.key is no name of a field: ":path"/],
    [
      { request_headers_to_add: [field("x", "a\r\nb: c")] },
      /header\.value has a byte that a field may not have/,
    ],
    [
      { request_headers_to_add: [field("x", "%REQ(:path)%")] },
      /header\.value has "%REQ\(:path\)%", which has no meaning here/,
    ],
    [{ request_headers_to_add: [field("x", "100%")] }, /header\.value has "100%", which has no meaning here/],
    [{ request_headers_to_add: many }, /request_headers_to_add concern more than 128 names/],
    [
      { request_headers_to_add: [field("x", "y".repeat(17_000))] },
      /request_headers_to_add add more than 16384 bytes/,
    ],
    [{ route: { cluster: "a", prefix_rewrite: "in" } }, /route\.prefix_rewrite does not begin with a slash/],
    [{ route: { cluster: "a", prefix_rewrite: "/a b" } }, /route\.prefix_rewrite has a byte/],
    [{ route: { cluster: "a", host_rewrite_literal: "a b" } }, /route\.host_rewrite_literal is no host/],
    [{ route: { cluster: "a", auto_host_rewrite: true } }, /route\.auto_host_rewrite is not supported/],
  ];
  for (const [more, message] of cases) {
    const bootstrap = fromJson(BootstrapSchema, bootstrapOf({ clusters: { a: [1] }, routes: [to(more)] }), {
      registry,
    });
    t.throws(
      () => createProxy(bootstrap, { clock: systemClock, log: silentLogger }),
      { code: CONFIG_REJECTED, message },
      String(message),
    );
  }
  t.end();
});

test("rewrite: answers whose lines are spelt oddly are edited all the same", async (t) => {
  const { port: origin } = await rawOrigin(
    t,
    scripted(["HTTP/1.1 200 OK\r\nX-Odd : 1\r\nX-Gone\t: 2\r\nX-Last:3\r\nContent-Length: 2\r\n\r\nok"]),
  );
  const { port } = await startProxy(t, {
    clusters: { a: [origin] },
    routes: [to({ response_headers_to_add: [field("x-new", "4")], response_headers_to_remove: ["x-gone"] })],
  });
  const { text } = await talk(port, `GET / HTTP/1.1\r\nHost: x\r\n${CLOSING}\r\n\r\n`, ANSWERED);
  t.match(text, /^HTTP\/1\.1 200 OK\r\nX-Odd: 1\r\nX-Last: 3\r\nx-new: 4\r\ncontent-length: 2\r\n/);
});
