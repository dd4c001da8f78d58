// Filters of an HTTPRoute's rules and backends: RequestHeaderModifier, ResponseHeaderModifier, URLRewrite, RequestRedirect. (RequestMirror:
// mirrors.ts.) What the proxies would refuse is refused here, by its field, so that one rule costs no other its configuration.
import type { HttpHeaderModifier, HttpPathModifier, HttpRouteFilter } from "../api/api.ts";
import { isEditable, isFieldName, isFieldValue, MAX_ADDED_BYTES, MAX_EDITED_NAMES } from "../lib/fields.ts";
import {
  HeaderValueOption_HeaderAppendAction as Action,
  RedirectAction_RedirectResponseCode as Code,
} from "../xds/types.ts";
import type { Refuse, RouteInit } from "./actions.ts";

/** Fields that are edited, as routes and versions have them. */
export type EditsInit = Pick<
  RouteInit,
  "requestHeadersToAdd" | "requestHeadersToRemove" | "responseHeadersToAdd" | "responseHeadersToRemove"
>;
export type RedirectInit = Extract<RouteInit["action"], { case: "redirect" }>["value"];

/** What becomes of a path: its matched prefix, or all of it, is replaced. */
export interface PathChange {
  readonly kind: "prefix" | "full";
  readonly text: string;
  /** Where the rule says so. */
  readonly at: string;
}

export interface RuleFilters {
  readonly edits: EditsInit;
  readonly host?: string;
  readonly redirect?: RedirectInit;
  /** Of the request, or of where it is redirected to. */
  readonly path?: PathChange;
}

const HOST = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const PATH = /^\/[\x21\x22\x24-\x3e\x40-\x7e]*$/;
const MAX_PATH_BYTES = 4096;
const MAX_PORT = 65_535;
const CODES: Readonly<Record<number, Code>> = {
  301: Code.MOVED_PERMANENTLY,
  302: Code.FOUND,
  303: Code.SEE_OTHER,
  307: Code.TEMPORARY_REDIRECT,
  308: Code.PERMANENT_REDIRECT,
};
const PORTS: Readonly<Record<string, number>> = { http: 80, https: 443 };

/** The filters of a rule, on a listener of that port; undefined when one cannot be carried out, which is reported. */
export function filtersOf(
  filters: readonly HttpRouteFilter[],
  listenerPort: number,
  refuse: Refuse,
): RuleFilters | undefined {
  const edits = editsOf(filters, ".filters", ["RequestMirror", "URLRewrite", "RequestRedirect"], refuse);
  if (edits === undefined) return undefined;
  const of = (type: string): number => filters.findIndex((filter) => filter.type === type);
  const rewriteAt = `.filters[${of("URLRewrite")}].urlRewrite`;
  const redirectAt = `.filters[${of("RequestRedirect")}].requestRedirect`;
  const rewrite = filters[of("URLRewrite")]?.urlRewrite ?? (of("URLRewrite") < 0 ? undefined : {});
  const asked =
    filters[of("RequestRedirect")]?.requestRedirect ?? (of("RequestRedirect") < 0 ? undefined : {});
  if (rewrite !== undefined && asked !== undefined)
    return void refuse(rewriteAt, "a rule that redirects forwards nothing that could be rewritten");
  const at = asked === undefined ? rewriteAt : redirectAt;
  const { hostname, path: asksPath } = asked ?? rewrite ?? {};
  if (hostname !== undefined && !HOST.test(hostname))
    return void refuse(`${at}.hostname`, `${JSON.stringify(hostname)} is no host name`);
  const path = asksPath === undefined ? undefined : pathChange(asksPath, `${at}.path`, refuse);
  if (asksPath !== undefined && path === undefined) return undefined;
  const changed = { edits, ...(path !== undefined && { path }) };
  if (asked === undefined) return { ...changed, ...(hostname !== undefined && { host: hostname }) };
  const { scheme, port, statusCode = 302 } = asked;
  if (scheme !== undefined && PORTS[scheme] === undefined)
    return void refuse(`${at}.scheme`, `${JSON.stringify(scheme)} is not http or https`);
  const responseCode = CODES[statusCode];
  if (responseCode === undefined)
    return void refuse(`${at}.statusCode`, `${statusCode} is not 301, 302, 303, 307 or 308`);
  if (port !== undefined && !(port >= 1 && port <= MAX_PORT))
    return void refuse(`${at}.port`, `${port} is not between 1 and ${MAX_PORT}`);
  const wellKnown = scheme === undefined ? undefined : PORTS[scheme];
  return {
    ...changed,
    redirect: {
      responseCode,
      hostRedirect: hostname ?? "",
      portRedirect: port ?? wellKnown ?? listenerPort,
      ...(scheme !== undefined && { schemeRewriteSpecifier: { case: "schemeRedirect", value: scheme } }),
    },
  };
}

/** The header modifiers among filters; `others` are taken care of elsewhere. Undefined: one cannot be carried out, which is reported. */
export function editsOf(
  filters: readonly HttpRouteFilter[],
  at: string,
  others: readonly string[],
  refuse: Refuse,
): EditsInit | undefined {
  const edits: EditsInit = {};
  const seen = new Set<string>();
  for (const [index, filter] of filters.entries()) {
    const { type } = filter;
    const isRequest = type === "RequestHeaderModifier";
    if (!isRequest && type !== "ResponseHeaderModifier") {
      if (!others.includes(type))
        return void refuse(`${at}[${index}]`, `filter ${type} is not carried out here`);
    }
    if (type !== "RequestMirror" && seen.has(type))
      return void refuse(`${at}[${index}]`, `filter ${type} stands twice`);
    seen.add(type);
    if (others.includes(type)) continue;
    const field = isRequest ? "requestHeaderModifier" : "responseHeaderModifier";
    const modifier = modifierOf(filter[field] ?? {}, `${at}[${index}].${field}`, refuse);
    if (modifier === undefined) return undefined;
    const { add, remove } = modifier;
    Object.assign(
      edits,
      isRequest
        ? { requestHeadersToAdd: add, requestHeadersToRemove: remove }
        : { responseHeadersToAdd: add, responseHeadersToRemove: remove },
    );
  }
  return edits;
}

type Option = NonNullable<EditsInit["requestHeadersToAdd"]>[number];

function modifierOf(
  { set = [], add = [], remove = [] }: HttpHeaderModifier,
  at: string,
  refuse: Refuse,
): { readonly add: Option[]; readonly remove: string[] } | undefined {
  const options: Option[] = [];
  let size = 0;
  for (const [list, headers, appendAction] of [
    ["set", set, Action.OVERWRITE_IF_EXISTS_OR_ADD],
    ["add", add, Action.APPEND_IF_EXISTS_OR_ADD],
  ] as const) {
    for (const [index, { name, value }] of headers.entries()) {
      const problem = nameProblem(name) ?? (isFieldValue(value) ? undefined : "the value has a control byte");
      if (problem !== undefined) return void refuse(`${at}.${list}[${index}]`, problem);
      // A percent sign begins a command of xDS; here it is a percent sign.
      const header = { key: name, value: value.replaceAll("%", "%%") };
      options.push({ header, appendAction, keepEmptyValue: true });
      size += name.length + Buffer.byteLength(value) + 4;
    }
  }
  for (const [index, name] of remove.entries()) {
    const problem = nameProblem(name);
    if (problem !== undefined) return void refuse(`${at}.remove[${index}]`, problem);
  }
  // Those of a rule and of its backend are one list of edits.
  if (options.length + remove.length > MAX_EDITED_NAMES / 2)
    return void refuse(at, `names more than ${MAX_EDITED_NAMES / 2} headers`);
  if (size > MAX_ADDED_BYTES / 2) return void refuse(at, `adds more than ${MAX_ADDED_BYTES / 2} bytes`);
  return { add: options, remove: [...remove] };
}

function nameProblem(name: string): string | undefined {
  if (!isFieldName(name)) return `${JSON.stringify(name)} is no header name`;
  return isEditable(name) ? undefined : `${name} may not be edited`;
}

function pathChange(path: HttpPathModifier, at: string, refuse: Refuse): PathChange | undefined {
  const { type, replaceFullPath, replacePrefixMatch } = path;
  const kind = type === "ReplaceFullPath" ? "full" : "prefix";
  if (type !== "ReplaceFullPath" && type !== "ReplacePrefixMatch")
    return void refuse(`${at}.type`, `${JSON.stringify(type)} is not ReplaceFullPath or ReplacePrefixMatch`);
  const field = kind === "full" ? "replaceFullPath" : "replacePrefixMatch";
  const text = (kind === "full" ? replaceFullPath : replacePrefixMatch) ?? "";
  const spelt = text === "" ? "/" : text;
  if (!PATH.test(spelt) || spelt.length > MAX_PATH_BYTES)
    return void refuse(`${at}.${field}`, `${JSON.stringify(text)} is no path without a query`);
  return { kind, text: spelt, at };
}
