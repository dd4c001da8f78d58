// What a request must be for a rule of an HTTPRoute to hold, as an xDS match: the rule's own match, and on top of it what a TrafficPolicy's section
// `match` says. A match of which something cannot be carried out is left out as a whole: it would take requests that it is not meant for.
import type { HttpRouteMatch, PolicyCondition } from "../api/api.ts";
import { isFieldName, REQUEST_LINE_NAMES } from "../lib/fields.ts";
import { readPattern } from "../lib/pattern.ts";
import { normalEscapes } from "../lib/uripath.ts";
import type { MessageInitShape, RouteMatch, RouteMatchSchema } from "../xds/types.ts";
import type { Refuse } from "./actions.ts";
import type { Applied } from "./policies.ts";
import { areParametersIgnored } from "./spelling.ts";

export type MatchInit = Exclude<MessageInitShape<typeof RouteMatchSchema>, RouteMatch>;
type HeaderInit = NonNullable<MatchInit["headers"]>[number];
type QueryInit = NonNullable<MatchInit["queryParameters"]>[number];
type CookieInit = NonNullable<MatchInit["cookies"]>[number];
type PathInit = MatchInit["pathSpecifier"];

/** A match of a rule; undefined when something of it cannot be carried out: `refuse` is told by its path in the match, `refusePolicy` in the section. */
export function matchOf(
  match: HttpRouteMatch,
  applied: Applied,
  refuse: Refuse,
  refusePolicy: Refuse,
): MatchInit | undefined {
  const problems: unknown[] = [];
  const note =
    (told: Refuse): Refuse =>
    (path, message) => {
      problems.push(path);
      told(path, message);
    };
  const pathSpecifier = pathOf(match, applied, note(refuse));
  const own = ownConditions(match, note(refuse));
  const more = policyConditions(applied, note(refusePolicy));
  if (pathSpecifier === undefined || problems.length > 0) return undefined;
  return {
    pathSpecifier,
    headers: [...own.headers, ...more.headers],
    queryParameters: [...own.queryParameters, ...more.queryParameters],
    cookies: more.cookies,
  };
}

/** Greater comes first: exact path, pattern, longer prefix, method, more headers (and cookies), more parameters. Source: Gateway API, HTTPRouteRule.matches. */
export function rankOf(match: HttpRouteMatch, { sections }: Applied): number[] {
  const { value = "/", type = "PathPrefix" } = match.path ?? {};
  const { headers = [], queryParams = [], cookies = [] } = sections.match ?? {};
  return [
    type === "Exact" ? 2 : type === "RegularExpression" ? 1 : 0,
    value.length,
    match.method === undefined ? 0 : 1,
    (match.headers?.length ?? 0) + headers.length + cookies.length,
    (match.queryParams?.length ?? 0) + queryParams.length,
  ];
}

function pathOf(match: HttpRouteMatch, applied: Applied, refuse: Refuse): PathInit {
  const { value = "/", type = "PathPrefix" } = match.path ?? {};
  if (type === "RegularExpression") {
    const problem = patternProblem(value);
    if (problem !== undefined) refuse(".path.value", problem);
    return { case: "safeRegex", value: { regex: value } };
  }
  if (type !== "Exact" && type !== "PathPrefix") {
    refuse(".path.type", `${JSON.stringify(type)} is not Exact, PathPrefix or RegularExpression`);
    return undefined;
  }
  const isNormal = applied.sections.normalization?.path ?? true;
  // Requests are respelt before they are matched, so what they are compared with is, too.
  const path = isNormal ? normalEscapes(value) : value;
  if (path === undefined || !path.startsWith("/")) {
    refuse(".path.value", `${JSON.stringify(value)} is no path`);
    return undefined;
  }
  if (isNormal && /\/\/|\/\.\.?(?:\/|$)/.test(path))
    refuse(".path.value", "no request has // or a dot segment in its path once it is normalized");
  if (areParametersIgnored(applied) && path.includes(";"))
    refuse(".path.value", "no request has a ; in its path where spec.normalization.pathParameters is ignore");
  if (type === "Exact") return { case: "path", value: path };
  const trimmed = path.replace(/\/+$/, "");
  return trimmed === "" ? { case: "prefix", value: "/" } : { case: "pathSeparatedPrefix", value: trimmed };
}

interface Conditions {
  readonly headers: HeaderInit[];
  readonly queryParameters: QueryInit[];
  readonly cookies: CookieInit[];
}

/** Of several entries with one name the first counts. Source: Gateway API, HTTPHeaderMatch.name, HTTPQueryParamMatch.name. */
function ownConditions(
  { method, headers = [], queryParams = [] }: HttpRouteMatch,
  refuse: Refuse,
): Conditions {
  const found: Conditions = { headers: [], queryParameters: [], cookies: [] };
  if (method !== undefined)
    found.headers.push({
      name: ":method",
      headerMatchSpecifier: { case: "stringMatch", value: exactly(method) },
    });
  const seen = new Set<string>();
  for (const [index, { name, type, value }] of headers.entries()) {
    checkHeaderName(name, (path, message) => refuse(`.headers[${index}]${path}`, message));
    const matcher = typed(type, value, (path, message) => refuse(`.headers[${index}]${path}`, message));
    if (matcher !== undefined && !seen.has(name.toLowerCase()))
      found.headers.push({
        name: name.toLowerCase(),
        headerMatchSpecifier: { case: "stringMatch", value: matcher },
      });
    seen.add(name.toLowerCase());
  }
  seen.clear();
  for (const [index, { name, type, value }] of queryParams.entries()) {
    if (name === "") refuse(`.queryParams[${index}].name`, "is empty");
    const matcher = typed(type, value, (path, message) => refuse(`.queryParams[${index}]${path}`, message));
    if (matcher !== undefined && !seen.has(name))
      found.queryParameters.push({
        name,
        queryParameterMatchSpecifier: { case: "stringMatch", value: matcher },
      });
    seen.add(name);
  }
  return found;
}

function policyConditions({ sections }: Applied, refuse: Refuse): Conditions {
  const { headers = [], queryParams = [], cookies = [] } = sections.match ?? {};
  const found: Conditions = { headers: [], queryParameters: [], cookies: [] };
  for (const [index, one] of headers.entries()) {
    const specifier = headerSpecifier(one, (path, message) => refuse(`.headers[${index}]${path}`, message));
    if (specifier !== undefined)
      found.headers.push({
        name: one.name.toLowerCase(),
        headerMatchSpecifier: specifier,
        invertMatch: one.not ?? false,
      });
  }
  for (const [index, one] of queryParams.entries()) {
    const specifier = presenceOrText(one, (path, message) =>
      refuse(`.queryParams[${index}]${path}`, message),
    );
    if (specifier !== undefined)
      found.queryParameters.push({ name: one.name, queryParameterMatchSpecifier: specifier });
  }
  for (const [index, one] of cookies.entries()) {
    const specifier = presenceOrText(one, (path, message) => refuse(`.cookies[${index}]${path}`, message));
    if (specifier !== undefined) found.cookies.push(cookieOf(one, specifier));
  }
  return found;
}

/** A cookie that is there has some value: xDS has no word for it. */
function cookieOf(one: PolicyCondition, specifier: PresenceOrText): CookieInit {
  const isInverted = one.not ?? false;
  if (specifier.case === "stringMatch")
    return { name: one.name, stringMatch: specifier.value, invertMatch: isInverted };
  const stringMatch = { matchPattern: { case: "safeRegex", value: { regex: ".*" } } } as const;
  return { name: one.name, stringMatch, invertMatch: specifier.value === isInverted };
}

type TextInit = ReturnType<typeof exactly> | NonNullable<ReturnType<typeof textOf>>;
type PresenceOrText =
  | { readonly case: "presentMatch"; readonly value: boolean }
  | { readonly case: "stringMatch"; readonly value: TextInit };

/** A rule on a name that no request can have would take nobody. */
function checkHeaderName(name: string, refuse: Refuse): void {
  if (!isFieldName(name) && !REQUEST_LINE_NAMES.includes(name.toLowerCase()))
    refuse(".name", name === "" ? "is empty" : `${JSON.stringify(name)} is no name of a header`);
}

function headerSpecifier(one: PolicyCondition, refuse: Refuse): HeaderInit["headerMatchSpecifier"] {
  checkHeaderName(one.name, refuse);
  if (one.name === "") return undefined;
  if (one.range === undefined) return presenceOrText(one, refuse);
  if (testsOf(one).length > 0) return void refuse("", ONE_TEST);
  const { from, to } = one.range;
  if (from >= to) return void refuse(".range", `no number is at least ${from} and below ${to}`);
  return { case: "rangeMatch", value: { start: BigInt(from), end: BigInt(to) } };
}

const ONE_TEST =
  "needs exactly one of exact, prefix, suffix, contains, regex, present and, of headers, range";
const TESTS = ["exact", "prefix", "suffix", "contains", "regex", "present"] as const;

function testsOf(one: Omit<PolicyCondition, "range" | "not">): readonly (typeof TESTS)[number][] {
  return TESTS.filter((test) => one[test] !== undefined);
}

function presenceOrText(
  one: Omit<PolicyCondition, "range" | "not">,
  refuse: Refuse,
): PresenceOrText | undefined {
  if (one.name === "") return void refuse(".name", "is empty");
  if (testsOf(one).length !== 1) return void refuse("", ONE_TEST);
  if (one.present !== undefined) return { case: "presentMatch", value: one.present };
  const value = textOf(one, refuse);
  return value === undefined ? undefined : { case: "stringMatch", value };
}

function textOf(one: Omit<PolicyCondition, "range" | "not">, refuse: Refuse) {
  const ignoreCase = one.ignoreCase ?? false;
  if (one.regex !== undefined) {
    const problem = ignoreCase
      ? "write (?i) in the pattern instead of ignoreCase"
      : patternProblem(one.regex);
    if (problem !== undefined) return void refuse(".regex", problem);
    return { matchPattern: { case: "safeRegex" as const, value: { regex: one.regex } } };
  }
  for (const test of ["exact", "prefix", "suffix", "contains"] as const) {
    const value = one[test];
    if (value === undefined) continue;
    // xDS knows no test for a part that is empty: it would hold of everything.
    if (value === "" && test !== "exact") return void refuse(`.${test}`, "is empty");
    return { matchPattern: { case: test, value }, ignoreCase };
  }
  return undefined;
}

function typed(type: string | undefined, value: string, refuse: Refuse) {
  if ((type ?? "Exact") === "Exact") return exactly(value);
  if (type !== "RegularExpression")
    return void refuse(".type", `${JSON.stringify(type)} is not Exact or RegularExpression`);
  const problem = patternProblem(value);
  if (problem !== undefined) return void refuse(".value", problem);
  return { matchPattern: { case: "safeRegex" as const, value: { regex: value } } };
}

function exactly(value: string) {
  return { matchPattern: { case: "exact" as const, value } };
}

function patternProblem(pattern: string): string | undefined {
  const shape = readPattern(pattern);
  return typeof shape === "string" ? shape : undefined;
}
