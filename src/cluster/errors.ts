// How failures of the API become WeirErrors: the one border where HTTP answers, `Status` objects and socket errors are translated.
import { WeirError, type WeirErrorOptions } from "../lib/errors.ts";
import { isObject } from "../lib/json.ts";

/** Codes of this room. The API's own `Status` is in `context.status`, its HTTP status in `context.httpStatus`. */
export const CLUSTER_ERRORS = {
  /** 404: there is no such object, or no such kind. */
  notFound: "WEIR_ERR_CLUSTER_NOT_FOUND",
  /** The name is taken. */
  alreadyExists: "WEIR_ERR_CLUSTER_ALREADY_EXISTS",
  /** The resourceVersion or UID of the write is not the current one. */
  conflict: "WEIR_ERR_CLUSTER_CONFLICT",
  /** 400 or 422: the server refused the object. Also other 4xx that trying again does not mend, such as 405 and 415. */
  invalid: "WEIR_ERR_CLUSTER_INVALID",
  /** 401 or 403. */
  forbidden: "WEIR_ERR_CLUSTER_FORBIDDEN",
  /** 410: the resourceVersion of a watch or a continued list is too old. */
  expired: "WEIR_ERR_CLUSTER_EXPIRED",
  /** No answer, a timeout, or 429 and 5xx: trying again may help. */
  unavailable: "WEIR_ERR_CLUSTER_UNAVAILABLE",
  /** The server's certificate is not one that the kubeconfig trusts. */
  untrusted: "WEIR_ERR_CLUSTER_UNTRUSTED",
  /** No kubeconfig, or one that names what it does not hold. */
  config: "WEIR_ERR_CLUSTER_CONFIG",
  /** The caller's signal ended the request. */
  aborted: "WEIR_ERR_CLUSTER_ABORTED",
} as const;

/** The error of an HTTP answer of 400 and above. `what` names the request, for the message. */
export function errorOfResponse(httpStatus: number, bodyText: string, what: string): WeirError {
  const status = parseStatus(bodyText);
  return errorOfStatus(status ?? {}, httpStatus, what, bodyText);
}

/** The error of a `Status` object, as an answer or as the object of a watch's ERROR event. */
export function errorOfStatus(
  status: Readonly<Record<string, unknown>>,
  httpStatus: number,
  what: string,
  bodyText = "",
): WeirError {
  const words = typeof status.message === "string" ? status.message : bodyText.trim().slice(0, 300);
  const code = codeOf(httpStatus, status.reason);
  return new WeirError({
    code,
    message: `${what}: ${words === "" ? `HTTP ${httpStatus}` : words}${hintOf(httpStatus)}`,
    source: httpStatus >= 500 || httpStatus === 429 ? "upstream" : "user",
    retry: code === CLUSTER_ERRORS.unavailable ? "yes" : "no",
    context: { httpStatus, ...(Object.keys(status).length > 0 ? { status } : {}) },
  });
}

/** The `Status` object in a body, if it holds one. */
export function parseStatus(bodyText: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const body: unknown = JSON.parse(bodyText);
    return isObject(body) && body.kind === "Status" ? body : undefined;
  } catch {
    return undefined; // a proxy's page or plain text: the caller quotes it instead
  }
}

/** What the API server said as `Status`, when the error carries one. */
export function statusOf(error: WeirError): Readonly<Record<string, unknown>> | undefined {
  return isObject(error.context.status) ? error.context.status : undefined;
}

/** The error of a request that got no answer. `server` is named in the message. */
export function errorOfSocket(cause: unknown, server: string, what: string): WeirError {
  const code = socketCode(cause);
  const options: WeirErrorOptions = { code: CLUSTER_ERRORS.unavailable, message: "", retry: "yes", cause };
  const context = { server, socketCode: code };
  if (UNTRUSTED.test(code)) {
    return new WeirError({
      ...options,
      code: CLUSTER_ERRORS.untrusted,
      retry: "no",
      source: "user",
      message: `${what}: the certificate of ${server} is not trusted (${code}); check certificate-authority-data of the kubeconfig`,
      context,
    });
  }
  const why =
    code === "ECONNREFUSED"
      ? "connection refused; is the server running?"
      : code === "ENOTFOUND"
        ? "its host name is unknown"
        : code;
  return new WeirError({
    ...options,
    source: "upstream",
    message: `${what}: cannot reach ${server}: ${why}`,
    context,
  });
}

const UNTRUSTED =
  /^(?:DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_|CERT_|ERR_TLS_CERT_ALTNAME_INVALID)/;

function codeOf(httpStatus: number, reason: unknown): string {
  if (httpStatus === 404) return CLUSTER_ERRORS.notFound;
  if (httpStatus === 409)
    return reason === "AlreadyExists" ? CLUSTER_ERRORS.alreadyExists : CLUSTER_ERRORS.conflict;
  if (httpStatus === 401 || httpStatus === 403) return CLUSTER_ERRORS.forbidden;
  if (httpStatus === 410) return CLUSTER_ERRORS.expired;
  if (httpStatus === 429 || httpStatus >= 500) return CLUSTER_ERRORS.unavailable;
  return CLUSTER_ERRORS.invalid;
}

function hintOf(httpStatus: number): string {
  return httpStatus === 401 ? " (the server did not accept the kubeconfig's credentials)" : "";
}

/** Node's code of a socket error, also where an AggregateError or a cause holds it; the message where there is no code. */
function socketCode(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 4; at = at.cause, depth += 1) {
    const inner: unknown = at instanceof AggregateError ? at.errors[0] : at;
    if (isErrnoException(inner)) return inner.code;
  }
  return error instanceof Error ? error.message : String(error);
}

function isErrnoException(error: unknown): error is Error & { readonly code: string } {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}
