// Which route serves: patterns, query parameters, cookies; and that the index finds what a search from first to last finds.
import fc from "fast-check";
import { test } from "tap";
import { MAX_PATTERN_CHARS, type PatternShape, readPattern } from "../../src/lib/pattern.ts";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { CONFIG_REJECTED } from "../../src/proxy/compile/problems.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { findRoute } from "../../src/proxy/route/match.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import { fromJson, type RouteConfiguration, RouteConfigurationSchema } from "../../src/xds/types.ts";
import type { Json } from "./support.ts";

const RUNS = Number(process.env.WEIR_PROPERTY_RUNS ?? 300);

interface Asked {
  readonly target: string;
  readonly method?: string;
  readonly fields?: readonly (readonly [name: string, value: string])[];
}

/** Finds the name of the route that serves, or "". */
function matcherOf(routes: readonly Json[]): (asked: Asked) => string {
  const message = fromJson(RouteConfigurationSchema, {
    virtual_hosts: [
      { name: "all", domains: ["*"], routes: routes.map((match, at) => routeOf(match, `r${at}`)) },
    ],
  });
  return finderOf(message);
}

function routeOf(match: Json, name: string): Json {
  return { name, match, route: { cluster: "c" } };
}

function finderOf(message: RouteConfiguration): (asked: Asked) => string {
  const table = compileRoutes(message, "1", () => 0);
  const parser = new HeadParser();
  const dice = new Dice(1);
  return ({ target, method = "GET", fields = [] }) => {
    const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join("");
    const bytes = Buffer.from(`${method} ${target} HTTP/1.1\r\nhost: a.test\r\n${lines}\r\n`, "latin1");
    parser.reset(KIND.REQUEST);
    if (parser.run(bytes, 0, bytes.length) !== 1)
      throw new Error(`refused: ${parser.refused.reason}: ${target}`);
    return findRoute(table, parser.head, dice)?.name ?? "";
  };
}

test("match: a pattern is about the whole path without the query, in RE2's syntax", (t) => {
  const find = matcherOf([
    { safe_regex: { regex: "/api/v[0-9]+/users" } },
    { safe_regex: { regex: "/(?i)fold\\.x" } },
    { safe_regex: { regex: "(/a|/b)" }, case_sensitive: false },
    { safe_regex: { regex: ".*\\.(png|jpg)" } },
    { safe_regex: { regex: "/\\pL[[:alpha:]]\\d\\z" } },
  ]);
  const cases: readonly (readonly [string, string])[] = [
    ["/api/v12/users", "r0"],
    ["/api/v12/users?x=/api", "r0"],
    ["/api/v12/users/", ""],
    ["/x/api/v1/users", ""],
    ["/FOLD.X", "r1"],
    ["/foldyx", ""],
    ["/a", "r2"],
    ["/A", ""],
    ["/ab", ""],
    ["/deep/er/pic.jpg", "r3"],
    ["/pic.jpg?", "r3"],
    ["/pic.jpg.txt", ""],
    ["/x?pic.png", ""],
    ["/aB7", "r4"],
  ];
  for (const [target, want] of cases) t.equal(find({ target }), want, target);
  t.end();
});

test("match: a header passes when one of its fields matches the whole pattern", (t) => {
  const find = matcherOf([
    { prefix: "/", headers: [{ name: "X-Re", string_match: { safe_regex: { regex: "a+[bc]" } } }] },
    { prefix: "/", headers: [{ name: "x-old", safe_regex_match: { regex: "o.d" } }] },
    {
      prefix: "/",
      headers: [{ name: "x-not", string_match: { safe_regex: { regex: "[0-9]+" } }, invert_match: true }],
    },
    { prefix: "/", headers: [{ name: "x-utf", string_match: { exact: "é" } }] },
    { prefix: "/", headers: [{ name: "x-utf", string_match: { safe_regex: { regex: "ü[a-z]" } } }] },
  ]);
  const latin = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
  const cases: readonly (readonly [readonly (readonly [string, string])[], string])[] = [
    [[["x-re", "aab"]], "r0"],
    [[["x-re", "aabc"]], ""],
    [
      [
        ["x-re", "no"],
        ["X-RE", "ac"],
      ],
      "r0",
    ],
    [[["x-old", "odd"]], "r1"],
    [[["x-not", "12"]], ""],
    [[["x-not", "12a"]], "r2"],
    [[], ""],
    [[["x-utf", latin("é")]], "r3"],
    [[["x-utf", latin("üb")]], "r4"],
  ];
  for (const [fields, want] of cases) t.equal(find({ target: "/", fields }), want, JSON.stringify(fields));
  t.end();
});

test("match: a rule about Host is about the host in force, which an absolute target names", (t) => {
  const find = matcherOf([
    { prefix: "/", headers: [{ name: "Host", string_match: { exact: "a.test" } }] },
    { prefix: "/", headers: [{ name: "host", string_match: { suffix: ".inner" } }] },
  ]);
  t.equal(find({ target: "/" }), "r0");
  t.equal(find({ target: "http://b.inner/" }), "r1");
  t.equal(find({ target: "http://b.test/" }), "");
  t.end();
});

test("match: the first of several query parameters counts, names and values are decoded", (t) => {
  const find = matcherOf([
    { prefix: "/", query_parameters: [{ name: "a b", string_match: { exact: "x&=y" } }] },
    { prefix: "/", query_parameters: [{ name: "q", string_match: { prefix: "two" } }, { name: "r" }] },
    { prefix: "/", query_parameters: [{ name: "q", string_match: { safe_regex: { regex: "[0-9]+" } } }] },
    { prefix: "/", query_parameters: [{ name: "empty", string_match: { exact: "" } }] },
    {
      prefix: "/",
      query_parameters: [
        { name: "here", present_match: true },
        { name: "gone", present_match: false },
      ],
    },
    { prefix: "/", query_parameters: [{ name: "fold", string_match: { exact: "Case", ignore_case: true } }] },
    { prefix: "/", query_parameters: [{ name: "é" }] },
  ]);
  const cases: readonly (readonly [string, string])[] = [
    ["/?a+b=x%26%3dy", "r0"],
    ["/?a%20b=x%26=y", "r0"],
    [`${"/?a b".replace(" ", "%2B")}=x%26%3dy`, ""],
    ["/?q=two&r", "r1"],
    ["/?q=twofold&z=1&r=2", "r1"],
    ["/?q=two", ""],
    ["/?q=one&q=two&r", ""],
    ["/?%71=%74wo&r", "r1"],
    ["/?q=42", "r2"],
    ["/?q=4%32", "r2"],
    ["/?q=42x", ""],
    ["/?Q=42", ""],
    ["/?empty", "r3"],
    ["/?empty=", "r3"],
    ["/?&&empty&", "r3"],
    ["/?empty=1", ""],
    ["/?here", "r4"],
    ["/?here&gone", ""],
    ["/?fold=cASE", "r5"],
    ["/?%c3%a9", "r6"],
    ["/?%zz=1&q=7%", ""],
    ["/?x=?q=42", ""],
    ["/q=42", ""],
    ["http://a.test?q=42", "r2"],
    [`/?${"x=1&".repeat(4_000)}`, ""],
    [`/?${"x=1&".repeat(3_000)}q=42`, "r2"],
  ];
  for (const [target, want] of cases) t.equal(find({ target }), want, target.slice(0, 80));
  t.end();
});

test("match: the first cookie of a name counts, in any Cookie field, without its quotes", (t) => {
  const find = matcherOf([
    { prefix: "/", cookies: [{ name: "canary", string_match: { exact: "always" } }] },
    {
      prefix: "/",
      cookies: [
        { name: "v", string_match: { safe_regex: { regex: "[1-3]" } } },
        { name: "u", string_match: { prefix: "" } },
      ],
    },
    { prefix: "/in", cookies: [{ name: "out", string_match: { exact: "1" }, invert_match: true }] },
  ]);
  const cases: readonly (readonly [readonly string[], string, string])[] = [
    [["canary=always"], "/", "r0"],
    [["a=b; canary=always;c=d"], "/", "r0"],
    [["a=b"], "/", ""],
    [["a=b", "canary = always "], "/", "r0"],
    [["canary=never; canary=always"], "/", ""],
    [["canary=always; canary=never"], "/", "r0"],
    [['canary="always"'], "/", "r0"],
    [["xcanary=always"], "/", ""],
    [["canary=always2"], "/", ""],
    [["Canary=always"], "/", ""],
    [["canary"], "/", ""],
    [["x=canary=always"], "/", ""],
    [["v=2; u="], "/", "r1"],
    [["v=2"], "/", ""],
    [["v=4; u="], "/", ""],
    [["out=1"], "/in", ""],
    [["out=2"], "/in", "r2"],
    [[], "/in", "r2"],
  ];
  for (const [values, target, want] of cases) {
    const fields = values.map((value) => ["Cookie", value] as const);
    t.equal(find({ target, fields }), want, JSON.stringify(values));
  }
  t.end();
});

test("match: plain text in a pattern is compared as bytes, and only what is none reaches the engine", (t) => {
  const plain: readonly (readonly [string, string, string])[] = [
    ["/a/b", "exact", "/a/b"],
    ["^/a\\.b$", "exact", "/a.b"],
    ["/a.*", "prefix", "/a"],
    [".*", "suffix", ""],
    [".*\\.png", "suffix", ".png"],
    [".*/x/.*", "contains", "/x/"],
    ["^.*é$", "suffix", "é"],
  ];
  for (const [regex, kind, text] of plain) t.strictSame(readPattern(regex), { kind, text }, regex);
  const patterns: readonly (readonly [string, string])[] = [
    ["/a.b", "/a"],
    ["/ab*", "/a"],
    ["/ab?c", "/a"],
    ["/ab{2}", "/a"],
    ["/ab+", "/a"],
    ["/a|/b", ""],
    ["/(a|b)", "/"],
    ["/a[|]b|c", ""],
    ["/\\Qa|b\\E|c", ""],
    ["(?i)/a", ""],
    [".*^/a", ""],
    [".*?/a", ""],
    ["^*a", ""],
    ["/\\d", "/"],
    ["/a$b", "/a"],
    ["/a\\z", "/a"],
  ];
  for (const [regex, text] of patterns) {
    const shape = readPattern(regex);
    t.match(shape, { kind: "pattern", text, pattern: { source: regex } }, regex);
  }
  for (const bad of [
    "",
    "a".repeat(MAX_PATTERN_CHARS + 1),
    "a(",
    "a\\",
    "[",
    "a**",
    "(?=a)",
    "(a)\\1",
    "(?<!a)b",
  ])
    t.type(readPattern(bad), "string", bad.slice(0, 20));
  t.end();
});

test("match: a pattern's shape accepts the strings that the pattern accepts", (t) => {
  const piece = fc.constantFrom(
    "a",
    "b",
    "/",
    ".",
    "\\.",
    ".*",
    "*",
    "+",
    "?",
    "|",
    "(",
    ")",
    "[ab]",
    "^",
    "$",
    "{2}",
    "\\d",
    "é",
  );
  const text = fc.string({ unit: fc.constantFrom("a", "b", "/", ".", "1", "é"), maxLength: 6 });
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 1, maxLength: 6 }).map((pieces) => pieces.join("")),
      fc.array(text, { minLength: 1, maxLength: 8 }),
      (regex, texts) => {
        const shape = readPattern(regex);
        if (typeof shape === "string") return;
        // A group around it hides plain text from the shape: the engine itself answers.
        const whole = readPattern(`(?:${regex})[a]{0}`);
        if (typeof whole === "string" || whole.kind !== "pattern") throw new Error(`no engine for ${regex}`);
        for (const one of texts) {
          const found = accepts(shape, one);
          t.equal(found, whole.pattern.matches(one), `${regex} on ${one}`);
        }
      },
    ),
    { seed: 11, numRuns: RUNS },
  );
  t.end();
});

function accepts(shape: PatternShape, text: string): boolean {
  switch (shape.kind) {
    case "exact":
      return text === shape.text;
    case "prefix":
      return text.startsWith(shape.text);
    case "suffix":
      return text.endsWith(shape.text);
    case "contains":
      return text.includes(shape.text);
    case "pattern":
      return text.startsWith(shape.text) && shape.pattern.matches(text);
  }
}

test("match: linear time: no pattern and no string stalls the loop", (t) => {
  const find = matcherOf([
    { safe_regex: { regex: "/(a{1,30})+b" } },
    { safe_regex: { regex: "/(a|aa)+" } },
    { safe_regex: { regex: "/(.*a){12}c" } },
  ]);
  const started = performance.now();
  t.equal(find({ target: `/${"a".repeat(14_000)}!` }), "");
  t.ok(performance.now() - started < 1_500, `took ${Math.round(performance.now() - started)} ms`);
  t.end();
});

test("match: what cannot be matched is rejected with path and reason", (t) => {
  const header = (rule: Json): Json => ({ prefix: "/", headers: [{ name: "x", string_match: rule }] });
  const cases: readonly (readonly [Json, RegExp])[] = [
    [{ safe_regex: { regex: "/(?=a)" } }, /match\.safe_regex\.regex is no pattern in RE2's syntax: .*\(\?=/],
    [{ safe_regex: { regex: "/(a)\\1" } }, /safe_regex\.regex is no pattern/],
    [{ safe_regex: {} }, /safe_regex\.regex is an empty pattern/],
    [{ safe_regex: { regex: "a".repeat(5_000) } }, /regex is longer than 4096 characters/],
    [{ safe_regex: { regex: "(?:[a-f]{900}[0-5]{900}){2}[a-z]{900}" } }, /regex is no pattern/],
    [{ safe_regex: { regex: "[ab]{1000}[ab]{1000}[ab]{1000}[ab]{1000}[ab]{200}" } }, /a pattern too large/],
    [header({ safe_regex: { regex: "a(" } }), /headers\[0\]\.string_match\.safe_regex\.regex is no pattern/],
    [header({ safe_regex: { regex: "[a]" }, ignore_case: true }), /string_match\.ignore_case has no effect/],
    [header({}), /string_match has no exact, prefix, suffix, contains or safe_regex/],
    [{ prefix: "/", query_parameters: [{ present_match: true }] }, /query_parameters\[0\]\.name is empty/],
    [{ prefix: "/", cookies: [{ name: "c" }] }, /cookies\[0\]\.string_match is missing/],
    [{ prefix: "/", grpc: {} }, /match\.grpc/],
    [
      { prefix: "/", headers: [{ name: ":Scheme", string_match: { exact: "https" } }] },
      /headers\[0\]\.name is :scheme; of a request line rules see :method, :path, :authority/,
    ],
  ];
  for (const [match, message] of cases)
    t.throws(
      () => matcherOf([match]),
      { code: CONFIG_REJECTED, message },
      JSON.stringify(match).slice(0, 60),
    );
  t.end();
});

test("match: a value is searched to its end and no further, however long it is", (t) => {
  const find = matcherOf([{ prefix: "/", headers: [{ name: "x-a", string_match: { contains: "needle" } }] }]);
  for (const length of [0, 200, 250, 255, 256, 257, 5_000]) {
    const straw = "n".repeat(length);
    const found = (value: string) =>
      find({
        target: "/",
        fields: [
          ["X-A", value],
          ["X-B", "needle"],
        ],
      });
    for (const value of [`needle${straw}`, `${straw}needle`, `${straw}needle${straw}`])
      t.equal(found(value), "r0", `${length}`);
    t.equal(found(`${straw}needl`), "", `${length}: none`);
  }
  t.end();
});
