// The order of routes: what the proxy finds by index is what a search from first to last over the configuration finds.
import fc from "fast-check";
import { test } from "tap";
import { compileRoutes } from "../../src/proxy/compile/compile.ts";
import { HeadParser, KIND } from "../../src/proxy/http1/parse.ts";
import { findRoute } from "../../src/proxy/route/match.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import { fromJson, RouteConfigurationSchema } from "../../src/xds/types.ts";

const RUNS = Number(process.env.WEIR_PROPERTY_RUNS ?? 150);

type TextRule =
  | { readonly exact: string }
  | { readonly prefix: string }
  | { readonly safe_regex: { readonly regex: string } };
type PathRule =
  | { readonly path: string }
  | { readonly prefix: string }
  | { readonly path_separated_prefix: string }
  | { readonly safe_regex: { readonly regex: string } };
interface HeaderRule {
  readonly name: string;
  readonly string_match?: TextRule;
  readonly present_match?: boolean;
  readonly range_match?: { readonly start: string; readonly end: string };
  readonly invert_match?: boolean;
  readonly treat_missing_header_as_empty?: boolean;
}
interface Rule {
  readonly path: PathRule;
  readonly isFolded: boolean;
  /** Percent of requests; undefined: all. */
  readonly share: number | undefined;
  readonly headers: readonly HeaderRule[];
  readonly query: readonly {
    readonly name: string;
    readonly string_match?: TextRule;
    readonly present_match?: boolean;
  }[];
  readonly cookies: readonly {
    readonly name: string;
    readonly string_match: TextRule;
    readonly invert_match?: boolean;
  }[];
}
interface Asked {
  /** Of the dice that shares are drawn from. */
  readonly seed: number;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly fields: readonly (readonly [string, string])[];
  readonly cookies: readonly (readonly [string, string])[];
}

const segment = fc.constantFrom("a", "b", "A", "ab", "abc", "v1");
const path = fc.array(segment, { maxLength: 3 }).map((segments) => `/${segments.join("/")}`);
const word = fc.constantFrom("", "1", "2", "12", "a", "ab");
const name = fc.constantFrom("x", "y", "z", "w");
const pattern = fc.constantFrom("a.*", "[a-b]+", "1", ".*2", "(1|a)b?", ".*");
const textRule: fc.Arbitrary<TextRule> = fc.oneof(
  { weight: 3, arbitrary: word.map((exact) => ({ exact })) },
  word.map((prefix) => ({ prefix })),
  pattern.map((regex) => ({ safe_regex: { regex } })),
);
const pathRule: fc.Arbitrary<PathRule> = fc.oneof(
  path.map((text) => ({ path: text })),
  path.map((text) => ({ prefix: text })),
  fc.constant({ prefix: "" }),
  path.filter((text) => text !== "/").map((text) => ({ path_separated_prefix: text })),
  fc
    .constantFrom("/a/.*", "/[ab]+(/.*)?", ".*b", "/a|/b", "/ab?c?", ".*v1.*", "/.*/.")
    .map((regex) => ({ safe_regex: { regex } })),
);
const maybe = fc.boolean();
const headerRule: fc.Arbitrary<HeaderRule> = fc.oneof(
  fc.record({ name, string_match: textRule, invert_match: maybe, treat_missing_header_as_empty: maybe }),
  fc.record({ name, string_match: textRule }),
  fc.record({ name, present_match: maybe, invert_match: maybe }),
  fc.record({ name, range_match: fc.constant({ start: "1", end: "12" }) }),
  fc.record({
    name: fc.constant(":method"),
    string_match: fc.constant({ exact: "GET" }),
    invert_match: maybe,
  }),
);
const queryRule = fc.oneof(
  fc.record({ name, string_match: textRule }),
  fc.record({ name, present_match: maybe }),
);
const cookieRule = fc.record({ name, string_match: textRule, invert_match: maybe });
const few = <T>(rule: fc.Arbitrary<T>) => fc.array(rule, { maxLength: 2 });
const ruleOf = (paths: fc.Arbitrary<PathRule>): fc.Arbitrary<Rule> =>
  fc.record({
    path: paths,
    isFolded: fc.integer({ min: 0, max: 4 }).map((one) => one === 0),
    share: fc.constantFrom(undefined, undefined, undefined, 0, 20, 50, 80, 100),
    headers: few(headerRule),
    query: few(queryRule),
    cookies: few(cookieRule),
  });
const asked: fc.Arbitrary<Asked> = fc.record({
  seed: fc.nat(),
  path,
  query: fc.array(fc.tuple(name, word), { maxLength: 3 }),
  fields: fc.array(fc.tuple(name, word), { maxLength: 12 }),
  cookies: fc.array(fc.tuple(name, word), { maxLength: 3 }),
});

test("match order: routes over many paths are found as by a search from first to last", (t) => {
  holds(fc.array(ruleOf(pathRule), { minLength: 1, maxLength: 80, size: "max" }), 21);
  t.end();
});

test("match order: many routes on one path are found as by a search from first to last", (t) => {
  holds(
    fc.array(ruleOf(fc.constantFrom<PathRule>({ prefix: "/" }, { prefix: "" }, { path: "/a" })), {
      minLength: 17,
      maxLength: 80,
    }),
    22,
  );
  t.end();
});

function holds(lists: fc.Arbitrary<Rule[]>, seed: number): void {
  const parser = new HeadParser();
  fc.assert(
    fc.property(lists, fc.array(asked, { minLength: 1, maxLength: 12 }), (rules, requests) => {
      const routes = rules.map((rule, at) => ({
        name: String(at),
        match: {
          ...rule.path,
          ...(rule.share !== undefined && {
            runtime_fraction: { default_value: { numerator: rule.share * 100, denominator: "TEN_THOUSAND" } },
          }),
          case_sensitive: !rule.isFolded,
          headers: rule.headers,
          query_parameters: rule.query,
          cookies: rule.cookies,
        },
        route: { cluster: "c" },
      }));
      // The rules are JSON; their readonly arrays are what the JSON type does not allow.
      const json = JSON.parse(JSON.stringify({ virtual_hosts: [{ name: "all", domains: ["*"], routes }] }));
      const table = compileRoutes(fromJson(RouteConfigurationSchema, json), "1", () => 0);
      for (const request of requests) {
        const bytes = Buffer.from(textOf(request));
        parser.reset(KIND.REQUEST);
        if (parser.run(bytes, 0, bytes.length) !== 1) throw new Error(parser.refused.reason);
        const found = findRoute(table, parser.head, new Dice(request.seed));
        const first = rules.findIndex((rule) => serves(rule, request));
        if (Number(found?.name ?? -1) !== first)
          throw new Error(
            `found ${found?.name}, first is ${first}: ${JSON.stringify({ request, rule: rules[first] })}`,
          );
      }
    }),
    { seed, numRuns: RUNS },
  );
}

function textOf({ path, query, fields, cookies }: Asked): string {
  const target = query.length === 0 ? path : `${path}?${query.map((pair) => pair.join("=")).join("&")}`;
  const lines = [...fields, ...cookies.map((pair) => ["cookie", pair.join("=")])].map(
    ([name, value]) => `${name}: ${value}\r\n`,
  );
  return `GET ${target} HTTP/1.1\r\nhost: a\r\n${lines.join("")}\r\n`;
}

// The naive matcher: strings, and V8's expressions for patterns that mean the same there.

function serves(rule: Rule, request: Asked): boolean {
  return (
    new Dice(request.seed).below(1_000_000) % 10_000 < (rule.share ?? 100) * 100 &&
    isPath(rule, request.path) &&
    rule.headers.every((header) => isHeader(header, request)) &&
    rule.query.every(({ name, string_match, present_match }) => {
      const value = request.query.find(([found]) => found === name)?.[1];
      if (string_match === undefined) return (value !== undefined) === present_match;
      return value !== undefined && isText(string_match, value);
    }) &&
    rule.cookies.every(({ name, string_match, invert_match = false }) => {
      const value = request.cookies.find(([found]) => found === name)?.[1];
      return (value !== undefined && isText(string_match, value)) !== invert_match;
    })
  );
}

function isPath({ path: rule, isFolded }: Rule, path: string): boolean {
  const fold = (text: string): string => (isFolded ? text.toLowerCase() : text);
  if ("path" in rule) return fold(path) === fold(rule.path);
  if ("prefix" in rule) return fold(path).startsWith(fold(rule.prefix));
  if ("safe_regex" in rule) return new RegExp(`^(?:${rule.safe_regex.regex})$`).test(path);
  return `${fold(path)}/`.startsWith(`${fold(rule.path_separated_prefix)}/`);
}

function isHeader(rule: HeaderRule, { fields }: Asked): boolean {
  const { invert_match: isInverted = false } = rule;
  const values =
    rule.name === ":method"
      ? ["GET"]
      : fields.filter(([name]) => name === rule.name).map(([, value]) => value);
  if (values.length === 0 && rule.treat_missing_header_as_empty) values.push("");
  if (rule.present_match !== undefined) return values.length > 0 === (rule.present_match !== isInverted);
  if (values.length === 0) return false;
  const passes = (value: string): boolean => {
    if (rule.range_match !== undefined)
      return /^\d+$/.test(value) && Number(value) >= 1 && Number(value) < 12;
    return rule.string_match !== undefined && isText(rule.string_match, value);
  };
  return values.some(passes) !== isInverted;
}

function isText(rule: TextRule, text: string): boolean {
  if ("exact" in rule) return text === rule.exact;
  if ("prefix" in rule) return text.startsWith(rule.prefix);
  return new RegExp(`^(?:${rule.safe_regex.regex})$`).test(text);
}
