// The query parameters of the API, parsed and checked once. Pure.
import { apiError, badRequest } from "./errors.ts";

export interface Query {
  readonly labelSelector: string | undefined;
  readonly fieldSelector: string | undefined;
  readonly resourceVersion: string | undefined;
  readonly resourceVersionMatch: string | undefined;
  readonly isWatch: boolean;
  readonly wantsBookmarks: boolean;
  readonly sendsInitialEvents: boolean;
  readonly timeoutSeconds: number | undefined;
  /** 0: no limit. */
  readonly limit: number;
  readonly continueToken: string | undefined;
  readonly isDryRun: boolean;
  readonly fieldValidation: "Strict" | "Warn" | "Ignore";
  /** What rows of a Table carry. */
  readonly includeObject: "None" | "Metadata" | "Object";
  /** Everything else, for logs. */
  readonly raw: URLSearchParams;
}

/** Parses a query string; 400 and 422 for values that are none. */
export function parseQuery(text: string): Query {
  const raw = new URLSearchParams(text);
  const isWatch = isTrue(raw.get("watch"));
  const resourceVersionMatch = given(raw, "resourceVersionMatch");
  const sendsInitialEvents = isTrue(raw.get("sendInitialEvents"));
  if (raw.has("sendInitialEvents") && !isWatch) throw listOptions("sendInitialEvents is forbidden for list");
  if (sendsInitialEvents && resourceVersionMatch !== "NotOlderThan")
    throw listOptions("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
  if (isWatch && resourceVersionMatch !== undefined && !raw.has("sendInitialEvents"))
    throw listOptions("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
  return {
    labelSelector: given(raw, "labelSelector"),
    fieldSelector: given(raw, "fieldSelector"),
    resourceVersion: given(raw, "resourceVersion"),
    resourceVersionMatch,
    isWatch,
    wantsBookmarks: isTrue(raw.get("allowWatchBookmarks")),
    sendsInitialEvents,
    timeoutSeconds: count(raw, "timeoutSeconds"),
    limit: count(raw, "limit") ?? 0,
    continueToken: given(raw, "continue"),
    isDryRun: dryRun(raw.getAll("dryRun")),
    fieldValidation: fieldValidation(raw.get("fieldValidation") ?? ""),
    includeObject: includeObject(raw.get("includeObject") ?? ""),
    raw,
  };
}

/** `dryRun` of a query or a delete's body: only All is known. */
export function dryRun(values: readonly unknown[]): boolean {
  const set = values.filter((value) => value !== "");
  if (set.some((value) => value !== "All")) throw badRequest('dryRun: the only supported value is "All"');
  return set.length > 0;
}

/** A resourceVersion as a number; 400 when it is none. */
export function parseVersion(text: string): number {
  if (!/^\d{1,15}$/.test(text))
    throw badRequest(`Invalid value: ${JSON.stringify(text)}: is no resourceVersion`);
  return Number(text);
}

function given(raw: URLSearchParams, name: string): string | undefined {
  const value = raw.get(name);
  return value === null || value === "" ? undefined : value;
}

function isTrue(value: string | null): boolean {
  return value === "true" || value === "1";
}

function count(raw: URLSearchParams, name: string): number | undefined {
  const value = given(raw, name);
  if (value === undefined) return undefined;
  if (!/^\d{1,9}$/.test(value))
    throw badRequest(`${name} must be a whole number, not ${JSON.stringify(value)}`);
  return Number(value);
}

function fieldValidation(value: string): Query["fieldValidation"] {
  if (value === "Strict" || value === "Ignore") return value;
  if (value === "" || value === "Warn") return "Warn";
  throw badRequest(`fieldValidation: ${JSON.stringify(value)} is none of "Ignore", "Strict", "Warn"`);
}

function includeObject(value: string): Query["includeObject"] {
  return value === "None" || value === "Object" ? value : "Metadata";
}

function listOptions(why: string): Error {
  const causes = [
    { reason: "FieldValueForbidden", message: `Forbidden: ${why}`, field: "sendInitialEvents" },
  ] as const;
  return apiError(
    422,
    "Invalid",
    `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ${why}`,
    {
      group: "meta.k8s.io",
      kind: "ListOptions",
      causes,
    },
  );
}
