// Who stays with a version: HTTPRoute's sessionPersistence (GEP-1619), else the section `sticky` of a TrafficPolicy, as xDS hash policies.
// Of several keys the first that a request has decides alone: header, then cookie, then the client's address.
import type { HttpRouteRule, PolicySections } from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import { isFieldName } from "../lib/fields.ts";
import { durationOf } from "../xds/types.ts";
import type { Refuse } from "./actions.ts";
import type { HashPolicyInit } from "./forward.ts";
import type { Report } from "./input.ts";
import type { Applied } from "./policies.ts";

/** The cookie of who names none. */
export const STICKY_COOKIE = "weir-sticky";

const WORDS = /^[\x20-\x3a\x3c-\x7e]*$/;
const MAX_WORDS = 1024;

type Section = NonNullable<PolicySections["sticky"]>;
type Cookie = NonNullable<Section["cookie"]>;

/** The keys of a rule; undefined when the rule asks for what cannot be carried out, which is reported. */
export function keysOf(
  rule: HttpRouteRule | undefined,
  applied: Applied,
  refuse: Refuse,
  report: Report,
): readonly HashPolicyInit[] | undefined {
  if (rule?.sessionPersistence !== undefined) return sessionKeys(rule.sessionPersistence, refuse);
  return policyKeys(applied, report);
}

function sessionKeys(
  session: NonNullable<HttpRouteRule["sessionPersistence"]>,
  refuse: Refuse,
): readonly HashPolicyInit[] | undefined {
  const at = ".sessionPersistence";
  const { type = "Cookie", sessionName, absoluteTimeout, idleTimeout, cookieConfig } = session;
  if (idleTimeout !== undefined)
    return void refuse(`${at}.idleTimeout`, "an idle timeout of a session is not carried out");
  if (sessionName !== undefined && !isFieldName(sessionName))
    return void refuse(
      `${at}.sessionName`,
      `${JSON.stringify(sessionName)} is no name of a cookie or header`,
    );
  if (type === "Header") {
    if (sessionName === undefined) return void refuse(`${at}.sessionName`, "a header needs its name");
    if (absoluteTimeout !== undefined)
      return void refuse(`${at}.absoluteTimeout`, "a header has no lifetime");
    return [headerKey(sessionName)];
  }
  if (type !== "Cookie") return void refuse(`${at}.type`, `${JSON.stringify(type)} is not Cookie or Header`);
  const lifetime = cookieConfig?.lifetimeType ?? "Session";
  if (lifetime === "Session" && absoluteTimeout !== undefined)
    return void refuse(`${at}.absoluteTimeout`, "the end of a Session cookie is the browser's to tell");
  if (lifetime === "Session") return [cookieKey(sessionName ?? STICKY_COOKIE, 0, "/", [])];
  if (lifetime !== "Permanent")
    return void refuse(
      `${at}.cookieConfig.lifetimeType`,
      `${JSON.stringify(lifetime)} is not Session or Permanent`,
    );
  const ttlMs = absoluteTimeout === undefined ? undefined : parseDuration(absoluteTimeout);
  if (ttlMs === undefined || ttlMs <= 0)
    return void refuse(`${at}.absoluteTimeout`, "a Permanent cookie needs a duration such as 24h");
  return [cookieKey(sessionName ?? STICKY_COOKIE, ttlMs, "/", [])];
}

function policyKeys({ sections, sources }: Applied, report: Report): readonly HashPolicyInit[] {
  const { sticky } = sections;
  if (sticky === undefined) return [];
  const wrong = (field: string, words: string): [] => {
    report(sources.sticky ?? "", `spec.sticky${field}`, `${words}; clients do not stay with a version`);
    return [];
  };
  const keys: HashPolicyInit[] = [];
  if (sticky.header !== undefined) {
    if (!isFieldName(sticky.header))
      return wrong(".header", `${JSON.stringify(sticky.header)} is no header name`);
    keys.push(headerKey(sticky.header));
  }
  if (sticky.cookie !== undefined) {
    const problem = cookieProblem(sticky.cookie);
    if (problem !== undefined) return wrong(`.cookie${problem.field}`, problem.words);
    const { name = STICKY_COOKIE, ttl = "0s", path = "/", attributes = [] } = sticky.cookie;
    keys.push(cookieKey(name, parseDuration(ttl) ?? 0, path, attributes));
  }
  if (sticky.clientAddress === true)
    keys.push({
      policySpecifier: { case: "connectionProperties", value: { sourceIp: true } },
      terminal: true,
    });
  return keys.length > 0 ? keys : wrong("", "there is no cookie, header or clientAddress");
}

function cookieProblem(cookie: Cookie): { readonly field: string; readonly words: string } | undefined {
  const { name = STICKY_COOKIE, ttl = "0s", path = "/", attributes = [] } = cookie;
  if (!isFieldName(name)) return { field: ".name", words: `${JSON.stringify(name)} is no name of a cookie` };
  const ttlMs = parseDuration(ttl);
  if (ttlMs === undefined || ttlMs < 0)
    return { field: ".ttl", words: `${JSON.stringify(ttl)} is not a duration such as 24h` };
  if (!WORDS.test(path)) return { field: ".path", words: `${JSON.stringify(path)} is no path of a cookie` };
  const bad = attributes.findIndex((one) => !isFieldName(one.name) || !WORDS.test(one.value ?? ""));
  if (bad >= 0) return { field: `.attributes[${bad}]`, words: "is no attribute of a cookie" };
  const length = attributes.reduce((sum, one) => sum + one.name.length + (one.value?.length ?? 0) + 1, 0);
  return length > MAX_WORDS
    ? { field: ".attributes", words: `are longer than ${MAX_WORDS} bytes` }
    : undefined;
}

function headerKey(name: string): HashPolicyInit {
  return { policySpecifier: { case: "header", value: { headerName: name.toLowerCase() } }, terminal: true };
}

function cookieKey(
  name: string,
  ttlMs: number,
  path: string,
  attributes: NonNullable<Cookie["attributes"]>,
): HashPolicyInit {
  const ttl = durationOf(Math.floor(ttlMs / 1000) * 1000);
  const value = {
    name,
    ttl,
    path,
    attributes: attributes.map((one) => ({ name: one.name, value: one.value ?? "" })),
  };
  return { policySpecifier: { case: "cookie", value }, terminal: true };
}
