// What a route changes, or answers by itself: RedirectAction, DirectResponseAction, prefix and host rewrites, header mutations with those of
// the levels around it. Pure; problems are collected, not thrown.
import { MAX_ADDED_BYTES } from "../../lib/fields.ts";
import type {
  DirectResponseAction,
  HeaderValueOption,
  RedirectAction,
  RouteConfiguration,
  RouteMatch,
  Route as RouteMessage,
  VirtualHost as VirtualHostMessage,
} from "../../xds/types.ts";
import { RedirectAction_RedirectResponseCode as Code } from "../../xds/types.ts";
import type { FieldEdits, Location, OwnAnswer, PathRewrite, Rewrite } from "../route/table.ts";
import { IS_TARGET, isAuthority } from "../wire/bytes.ts";
import { compileEdits, type EditFacts, type EditLevel } from "./compileedits.ts";
import type { Problems } from "./problems.ts";

/** The header mutations of one message, in both directions. */
export interface Mutations {
  readonly request: EditLevel;
  readonly response: EditLevel;
}

/** What holds around the routes of a virtual host. */
export interface Scope {
  readonly config: Mutations;
  readonly host: Mutations;
  /** The order is turned round: the most specific goes last and wins. */
  readonly isSpecificLast: boolean;
  /** Paths are matched without their parameters. */
  readonly areParametersIgnored: boolean;
  readonly maxBodyBytes: number;
}

/** What one of several clusters changes of its own. */
export interface VersionChanges {
  readonly mutations: Mutations;
  readonly host: string;
  /** Path of its message. */
  readonly at: string;
}

/** As in Envoy: the body of a direct response. */
const DEFAULT_MAX_BODY_BYTES = 4096;
/** Nobody needs more, and what is configured stays in memory. */
const MAX_BODY_BYTES = 1024 * 1024;
const MAX_HOST_BYTES = 260;
const SCHEME = /^[a-z][a-z0-9+.-]{0,31}$/;
const STATUS: Readonly<Record<Code, number>> = {
  [Code.MOVED_PERMANENTLY]: 301,
  [Code.FOUND]: 302,
  [Code.SEE_OTHER]: 303,
  [Code.TEMPORARY_REDIRECT]: 307,
  [Code.PERMANENT_REDIRECT]: 308,
};

interface Mutating {
  readonly requestHeadersToAdd: readonly HeaderValueOption[];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeadersToAdd: readonly HeaderValueOption[];
  readonly responseHeadersToRemove: readonly string[];
}

/** The mutations of a message whose path ends in a dot, or is empty. */
export function mutationsOf(message: Mutating, at: string): Mutations {
  return {
    request: {
      add: message.requestHeadersToAdd,
      addAt: `${at}request_headers_to_add`,
      remove: message.requestHeadersToRemove,
      removeAt: `${at}request_headers_to_remove`,
    },
    response: {
      add: message.responseHeadersToAdd,
      addAt: `${at}response_headers_to_add`,
      remove: message.responseHeadersToRemove,
      removeAt: `${at}response_headers_to_remove`,
    },
  };
}

/** Reads what holds around the routes of a virtual host; `at` is its path. */
export function scopeOf(
  config: RouteConfiguration,
  host: VirtualHostMessage,
  at: string,
  problems: Problems,
): Scope {
  const maxBodyBytes = config.maxDirectResponseBodySizeBytes ?? DEFAULT_MAX_BODY_BYTES;
  if (maxBodyBytes > MAX_BODY_BYTES)
    problems.add("max_direct_response_body_size_bytes", `is more than ${MAX_BODY_BYTES}`);
  return {
    config: mutationsOf(config, ""),
    host: mutationsOf(host, `${at}.`),
    isSpecificLast: config.mostSpecificHeaderMutationsWins,
    areParametersIgnored: config.ignorePathParametersInPathMatching,
    maxBodyBytes,
  };
}

/** The edits of answers to requests that a route serves, by way of one version where `version` says which. */
export function compileAnswerEdits(
  route: Mutations,
  scope: Scope,
  version: VersionChanges | undefined,
  facts: EditFacts,
  problems: Problems,
): FieldEdits | null {
  return compileEdits(levelsOf("response", route, scope, version), facts, problems);
}

/** What is changed about requests; null: nothing. `at` is the path of the route. */
export function compileRewrite(
  message: RouteMessage,
  at: string,
  scope: Scope,
  version: VersionChanges | undefined,
  facts: EditFacts,
  problems: Problems,
): Rewrite | null {
  const action = message.action.case === "route" ? message.action.value : undefined;
  const prefix = action?.prefixRewrite ?? "";
  const path = prefixRewriteOf(message.match, prefix, scope, `${at}.route.prefix_rewrite`, problems);
  const specifier = action?.hostRewriteSpecifier;
  const own = specifier?.case === "hostRewriteLiteral" ? specifier.value : "";
  const host =
    hostOf(own, `${at}.route.host_rewrite_literal`, problems) ??
    hostOf(version?.host ?? "", `${version?.at}.host_rewrite_literal`, problems);
  const levels = levelsOf("request", mutationsOf(message, `${at}.`), scope, version);
  const edits = compileEdits(levels, facts, problems);
  const isHostForwarded = action?.appendXForwardedHost ?? false;
  return path === null && host === null && edits === null ? null : { path, host, isHostForwarded, edits };
}

/** The answer that a route gives by itself; null: its requests are forwarded. */
export function compileOwnAnswer(
  message: RouteMessage,
  name: string,
  at: string,
  scope: Scope,
  problems: Problems,
): OwnAnswer | null {
  const { action } = message;
  if (action.case !== "redirect" && action.case !== "directResponse") return null;
  const facts = { cluster: "", route: name };
  const edits = compileAnswerEdits(mutationsOf(message, `${at}.`), scope, undefined, facts, problems);
  if (action.case === "directResponse")
    return { ...directOf(action.value, `${at}.direct_response`, scope.maxBodyBytes, problems), edits };
  return {
    status: STATUS[action.value.responseCode] ?? 301,
    reason: "redirect",
    location: compileLocation(action.value, message.match, scope, `${at}.redirect`, problems),
    body: Buffer.alloc(0),
    edits,
  };
}

/** As in Envoy: a version's own always come first. */
function levelsOf(
  direction: keyof Mutations,
  route: Mutations,
  { config, host, isSpecificLast }: Scope,
  version: VersionChanges | undefined,
): EditLevel[] {
  const outer = isSpecificLast ? [config, host, route] : [route, host, config];
  const all = version === undefined ? outer : [version.mutations, ...outer];
  return all.map((mutations) => mutations[direction]);
}

function directOf(
  { status, body }: DirectResponseAction,
  at: string,
  maxBytes: number,
  problems: Problems,
): Omit<OwnAnswer, "edits"> {
  if (status < 200 || status > 599) problems.add(`${at}.status`, `is ${status}, not 200 to 599`);
  const specifier = body?.specifier;
  const bytes = Buffer.from(specifier?.case === "inlineString" ? specifier.value : "", "utf8");
  if (bytes.length > maxBytes) problems.add(`${at}.body`, `has ${bytes.length} bytes, more than ${maxBytes}`);
  if (bytes.length > 0 && (status === 204 || status === 304))
    problems.add(`${at}.body`, `may not be there with status ${status}`);
  return { status, reason: "direct response", location: null, body: bytes };
}

function compileLocation(
  redirect: RedirectAction,
  match: RouteMatch | undefined,
  scope: Scope,
  at: string,
  problems: Problems,
): Location {
  const { hostRedirect, portRedirect, stripQuery, schemeRewriteSpecifier, pathRewriteSpecifier } = redirect;
  let scheme = "";
  if (schemeRewriteSpecifier.case === "httpsRedirect" && schemeRewriteSpecifier.value) scheme = "https";
  if (schemeRewriteSpecifier.case === "schemeRedirect") scheme = schemeRewriteSpecifier.value.toLowerCase();
  if (scheme !== "" && !SCHEME.test(scheme)) problems.add(`${at}.scheme_redirect`, "is no scheme");
  if (portRedirect > 65_535) problems.add(`${at}.port_redirect`, "is no port");
  hostOf(hostRedirect, `${at}.host_redirect`, problems);
  let path: PathRewrite | null = null;
  let hasQuery = false;
  if (pathRewriteSpecifier.case === "pathRedirect" && pathRewriteSpecifier.value !== "") {
    const { value } = pathRewriteSpecifier;
    path = {
      prefixLength: -1,
      areParametersIgnored: false,
      text: targetBytes(value, `${at}.path_redirect`, problems),
    };
    hasQuery = value.includes("?");
  } else if (pathRewriteSpecifier.case === "prefixRewrite")
    path = prefixRewriteOf(match, pathRewriteSpecifier.value, scope, `${at}.prefix_rewrite`, problems);
  return { scheme, host: hostRedirect, port: portRedirect, path, isQueryKept: !hasQuery && !stripQuery };
}

/** The matched prefix, or the whole of a path that was matched whole, becomes `text`. */
function prefixRewriteOf(
  match: RouteMatch | undefined,
  text: string,
  { areParametersIgnored }: Scope,
  at: string,
  problems: Problems,
): PathRewrite | null {
  if (text === "") return null;
  const specifier = match?.pathSpecifier;
  const isPrefix = specifier?.case === "prefix" || specifier?.case === "pathSeparatedPrefix";
  return {
    prefixLength: isPrefix ? Buffer.byteLength(specifier.value, "latin1") : -1,
    areParametersIgnored,
    text: targetBytes(text, at, problems),
  };
}

function targetBytes(text: string, at: string, problems: Problems): Buffer {
  const bytes = Buffer.from(text, "utf8");
  if (!text.startsWith("/")) problems.add(at, "does not begin with a slash");
  else if (!bytes.every((byte) => IS_TARGET[byte] === 1))
    problems.add(at, "has a byte that a path may not have");
  else if (bytes.length > MAX_ADDED_BYTES) problems.add(at, `has more than ${MAX_ADDED_BYTES} bytes`);
  return bytes;
}

function hostOf(text: string, at: string, problems: Problems): Buffer | null {
  if (text === "") return null;
  const bytes = Buffer.from(text, "utf8");
  if (bytes.length > MAX_HOST_BYTES || !isAuthority(bytes, 0, bytes.length)) problems.add(at, "is no host");
  return bytes;
}
