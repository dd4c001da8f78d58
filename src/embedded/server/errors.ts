// Failures of the embedded server: its own codes, and the `Status` objects that the API answers with.
// Every refusal names what was refused and, where there is one, the way to do it instead.

import { WeirError } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";

/** Codes of the embedded server. */
export const SERVER_ERRORS = {
  /** A refusal of the API; `context.status` is the Status object, `context.httpStatus` its code. */
  api: "WEIR_ERR_EMBEDDED_API",
  /** The state folder was written by a newer weir; nothing in it was changed. */
  stateVersion: "WEIR_ERR_EMBEDDED_STATE_VERSION",
  /** A file of the state folder is damaged. */
  stateCorrupt: "WEIR_ERR_EMBEDDED_STATE_CORRUPT",
  /** Another process uses the state folder; `context.pid` names it. */
  stateLocked: "WEIR_ERR_EMBEDDED_STATE_LOCKED",
  /** The state folder cannot be created, read or written. */
  stateUnusable: "WEIR_ERR_EMBEDDED_STATE_UNUSABLE",
  /** The port asked for cannot be listened on. */
  listen: "WEIR_ERR_EMBEDDED_LISTEN",
} as const;

/** One finding about one field, as in `details.causes` of a Status. */
export interface Cause {
  readonly reason:
    | "FieldValueRequired"
    | "FieldValueInvalid"
    | "FieldValueNotSupported"
    | "FieldValueNotFound"
    | "FieldValueForbidden"
    | "FieldValueDuplicate"
    | "InternalError";
  readonly message: string;
  readonly field: string;
}

export interface StatusDetails {
  readonly name?: string;
  readonly group?: string;
  readonly kind?: string;
  readonly uid?: string;
  readonly causes?: readonly Cause[];
  readonly retryAfterSeconds?: number;
}

export interface StatusObject {
  readonly kind: "Status";
  readonly apiVersion: "v1";
  readonly metadata: Readonly<Record<string, never>>;
  readonly status: "Success" | "Failure";
  readonly message?: string;
  readonly reason?: string;
  readonly details?: StatusDetails;
  readonly code: number;
}

/** What a refusal is about: the plural and group of the resource, and the object's name. */
export interface Subject {
  readonly plural: string;
  readonly group: string;
  readonly kind: string;
  readonly name: string;
}

/** A refusal by the API. */
export function apiError(code: number, reason: string, message: string, details?: StatusDetails): WeirError {
  const status: StatusObject = {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Failure",
    message,
    reason,
    ...(details === undefined ? {} : { details }),
    code,
  };
  const context = { httpStatus: code, status };
  return new WeirError({
    code: SERVER_ERRORS.api,
    source: code >= 500 ? "internal" : "user",
    message,
    context,
  });
}

/** The Status of a refusal; undefined for everything else that is thrown. */
export function statusOf(error: unknown): StatusObject | undefined {
  if (!(error instanceof WeirError) || error.code !== SERVER_ERRORS.api) return undefined;
  // apiError alone makes errors of this code, always with a StatusObject.
  return isObject(error.context.status) ? (error.context.status as unknown as StatusObject) : undefined;
}

export function notFound(subject: Subject): WeirError {
  const message = `${resourceOf(subject)} ${quote(subject.name)} not found`;
  return apiError(404, "NotFound", message, detailsOf(subject));
}

export function alreadyExists(subject: Subject): WeirError {
  const message = `${resourceOf(subject)} ${quote(subject.name)} already exists`;
  return apiError(409, "AlreadyExists", message, detailsOf(subject));
}

export function conflict(subject: Subject, why: string): WeirError {
  const message = `Operation cannot be fulfilled on ${resourceOf(subject)} ${quote(subject.name)}: ${why}`;
  return apiError(409, "Conflict", message, detailsOf(subject));
}

export function forbidden(subject: Subject, why: string): WeirError {
  const message = `${resourceOf(subject)} ${quote(subject.name)} is forbidden: ${why}`;
  return apiError(403, "Forbidden", message, detailsOf(subject));
}

export function badRequest(message: string): WeirError {
  return apiError(400, "BadRequest", message);
}

export function unsupportedMediaType(message: string): WeirError {
  return apiError(415, "UnsupportedMediaType", message);
}

export function methodNotAllowed(message: string): WeirError {
  return apiError(405, "MethodNotAllowed", message);
}

/** A watch or a continued list from a version that the server no longer has. */
export function expired(message: string): WeirError {
  return apiError(410, "Expired", message);
}

/** 422 with one cause per field. */
export function invalid(subject: Subject, causes: readonly Cause[]): WeirError {
  const words = causes.map((cause) => `${cause.field}: ${cause.message}`);
  const list = words.length === 1 ? words[0] : `[${words.join(", ")}]`;
  const kind = subject.group === "" ? subject.kind : `${subject.kind}.${subject.group}`;
  const details = { name: subject.name, group: subject.group, kind: subject.kind, causes };
  return apiError(422, "Invalid", `${kind} ${quote(subject.name)} is invalid: ${list}`, details);
}

export function required(field: string, why = ""): Cause {
  return { reason: "FieldValueRequired", field, message: `Required value${why === "" ? "" : `: ${why}`}` };
}

export function invalidValue(field: string, value: unknown, why: string): Cause {
  return {
    reason: "FieldValueInvalid",
    field,
    message: `Invalid value: ${JSON.stringify(value) ?? "null"}: ${why}`,
  };
}

export function forbiddenValue(field: string, why: string): Cause {
  return { reason: "FieldValueForbidden", field, message: `Forbidden: ${why}` };
}

export function duplicate(field: string, value: unknown): Cause {
  return { reason: "FieldValueDuplicate", field, message: `Duplicate value: ${JSON.stringify(value)}` };
}

function resourceOf(subject: Subject): string {
  return subject.group === "" ? subject.plural : `${subject.plural}.${subject.group}`;
}

function detailsOf(subject: Subject): StatusDetails {
  return { name: subject.name, group: subject.group, kind: subject.plural };
}

function quote(text: string): string {
  return JSON.stringify(text);
}
