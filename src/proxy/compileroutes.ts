// RouteConfiguration → HostTable: domains, matches, header rules, weights. Pure; problems are collected, not thrown.
import type {
  HeaderMatcher,
  RouteConfiguration,
  RouteMatch,
  Route as RouteMessage,
  StringMatcher,
  VirtualHost as VirtualHostMessage,
} from "../xds/types.ts";
import { durationMs } from "../xds/types.ts";
import { compileMirrors, innermost, type MirrorPolicies } from "./compilemirrors.ts";
import { compileRetry } from "./compileretry.ts";
import { type CellOf, compileSplit } from "./compilesplit.ts";
import { lowerBytes } from "./match.ts";
import type { Problems } from "./problems.ts";
import type { RetryPolicy } from "./retry.ts";
import {
  type HeaderRule,
  type HeaderTest,
  type HostTable,
  LISTENER_IDLE,
  PATH,
  type Route,
  type VirtualHost,
  type WildcardHost,
} from "./table.ts";

/** As in Envoy: a route that says nothing waits so long for its answer. */
const DEFAULT_TIMEOUT_MS = 15_000;

/** Reads the virtual hosts. */
export function compileHosts(
  config: RouteConfiguration,
  version: string,
  cellOf: CellOf,
  problems: Problems,
): HostTable {
  const exact = new Map<string, VirtualHost>();
  const suffixes: WildcardHost[] = [];
  const prefixes: WildcardHost[] = [];
  const seen = new Set<string>();
  let any: VirtualHost | null = null;
  config.virtualHosts.forEach((message, index) => {
    const at = `virtual_hosts[${index}]`;
    const label = message.name === "" ? at : message.name;
    const mirrors = innermost(mirrorsOf(message, `${at}.`), mirrorsOf(config, ""));
    const retry = compileRetry(message.retryPolicy, `${at}.retry_policy`, problems);
    const routes = message.routes.map((route, r) =>
      compileRoute(route, label, mirrors, `${at}.routes[${r}]`, cellOf, retry, problems),
    );
    const host: VirtualHost = { name: message.name, routes };
    message.domains.forEach((spelt, d) => {
      const domain = spelt.toLowerCase();
      const path = `${at}.domains[${d}]`;
      if (seen.has(domain)) problems.add(path, `repeats the domain ${JSON.stringify(domain)}`);
      seen.add(domain);
      const star = domain.indexOf("*");
      if (domain === "*") any = host;
      else if (star === -1 && domain !== "") exact.set(domain, host);
      else if (star === 0 && domain.lastIndexOf("*") === 0) suffixes.push({ part: domain.slice(1), host });
      else if (star === domain.length - 1 && star > 0) prefixes.push({ part: domain.slice(0, -1), host });
      else problems.add(path, `is no domain: ${JSON.stringify(spelt)}`);
    });
    if (message.domains.length === 0) problems.add(`${at}.domains`, "names no domain");
  });
  const longestFirst = (a: WildcardHost, b: WildcardHost): number => b.part.length - a.part.length;
  suffixes.sort(longestFirst);
  prefixes.sort(longestFirst);
  const isPortIgnored = config.ignorePortInHostMatching;
  return { name: config.name, version, isPortIgnored, exact, suffixes, prefixes, any };
}

function mirrorsOf(
  message: Pick<VirtualHostMessage, "requestMirrorPolicies">,
  prefix: string,
): MirrorPolicies {
  return { policies: message.requestMirrorPolicies, at: `${prefix}request_mirror_policies` };
}

function compileRoute(
  message: RouteMessage,
  host: string,
  outerMirrors: MirrorPolicies,
  at: string,
  cellOf: CellOf,
  hostRetry: RetryPolicy | null,
  problems: Problems,
): Route {
  const name = message.name === "" ? host : message.name;
  const action = message.action.case === "route" ? message.action.value : undefined;
  if (action === undefined) problems.add(at, "has no route action");
  const { pathKind, path, isCaseIgnored } = compilePath(message.match, `${at}.match`, problems);
  const headers = (message.match?.headers ?? []).map((header, h) =>
    compileHeader(header, `${at}.match.headers[${h}]`, problems),
  );
  return {
    name,
    pathKind,
    path,
    isCaseIgnored,
    headers,
    split: compileSplit(message, name, at, cellOf, problems),
    // A route's own policy replaces the host's, whatever it says.
    retry:
      action?.retryPolicy === undefined
        ? hostRetry
        : compileRetry(action.retryPolicy, `${at}.route.retry_policy`, problems),
    timeoutMs: durationMs(action?.timeout) ?? DEFAULT_TIMEOUT_MS,
    idleTimeoutMs: durationMs(action?.idleTimeout) ?? LISTENER_IDLE,
    mirrors: compileMirrors(
      action === undefined ? outerMirrors : innermost(mirrorsOf(action, `${at}.route.`), outerMirrors),
      name,
      cellOf,
      problems,
    ),
  };
}

function compilePath(
  match: RouteMatch | undefined,
  at: string,
  problems: Problems,
): Pick<Route, "pathKind" | "path" | "isCaseIgnored"> {
  const isCaseIgnored = match?.caseSensitive === false;
  const bytes = (text: string): Uint8Array =>
    isCaseIgnored ? lowerBytes(text) : Uint8Array.from(Buffer.from(text, "latin1"));
  const specifier = match?.pathSpecifier;
  switch (specifier?.case) {
    case "prefix":
      return { pathKind: PATH.PREFIX, path: bytes(specifier.value), isCaseIgnored };
    case "path":
      return { pathKind: PATH.EXACT, path: bytes(specifier.value), isCaseIgnored };
    case "pathSeparatedPrefix":
      if (!/^\/.*[^/]$/.test(specifier.value))
        problems.add(`${at}.path_separated_prefix`, "must begin with a slash and not end with one");
      return { pathKind: PATH.SEPARATED, path: bytes(specifier.value), isCaseIgnored };
    case "safeRegex":
    case "connectMatcher":
    case undefined:
      problems.add(at, "has no path, prefix or path_separated_prefix");
      return { pathKind: PATH.PREFIX, path: bytes("/"), isCaseIgnored };
  }
}

function compileHeader(matcher: HeaderMatcher, at: string, problems: Problems): HeaderRule {
  const name = matcher.name.toLowerCase();
  if (name === "") problems.add(`${at}.name`, "is empty");
  return {
    name,
    nameBytes: lowerBytes(name),
    test: compileTest(matcher, at, problems),
    isInverted: matcher.invertMatch,
    isMissingEmpty: matcher.treatMissingHeaderAsEmpty,
  };
}

function compileTest(matcher: HeaderMatcher, at: string, problems: Problems): HeaderTest {
  const specifier = matcher.headerMatchSpecifier;
  switch (specifier.case) {
    case "exactMatch":
      return { kind: "exact", text: specifier.value, ignoreCase: false };
    case "prefixMatch":
      return { kind: "prefix", text: specifier.value, ignoreCase: false };
    case "suffixMatch":
      return { kind: "suffix", text: specifier.value, ignoreCase: false };
    case "containsMatch":
      return { kind: "contains", text: specifier.value, ignoreCase: false };
    case "presentMatch":
      return { kind: "present", isPresent: specifier.value };
    case "rangeMatch":
      return { kind: "range", start: Number(specifier.value.start), end: Number(specifier.value.end) };
    case "stringMatch":
      return compileString(specifier.value, `${at}.string_match`, problems);
    case undefined:
      return { kind: "present", isPresent: true };
    case "safeRegexMatch":
      problems.add(at, "has a match that this proxy does not support");
      return { kind: "present", isPresent: true };
  }
}

function compileString(matcher: StringMatcher, at: string, problems: Problems): HeaderTest {
  const { ignoreCase, matchPattern } = matcher;
  switch (matchPattern.case) {
    case "exact":
    case "prefix":
    case "suffix":
    case "contains": {
      const text = ignoreCase ? matchPattern.value.toLowerCase() : matchPattern.value;
      return { kind: matchPattern.case, text, ignoreCase };
    }
    case "safeRegex":
    case undefined:
      problems.add(at, "has no exact, prefix, suffix or contains");
      return { kind: "present", isPresent: true };
  }
}
