// The one error type that weir throws on purpose. Anything else that is thrown is a bug.

/** Who caused the failure: the caller's peer on either side of the proxy, weir itself, or what a user wrote. */
export type ErrorSource = "upstream" | "downstream" | "internal" | "user";
/** Whether trying again may help; `ifReused` only when the failed connection had served a request before. */
export type ErrorRetry = "yes" | "no" | "ifReused";

export interface WeirErrorOptions {
  /** `WEIR_ERR_<ROOM>_<WHAT>`, listed once per room. Tests and callers branch on this, never on the message. */
  readonly code: string;
  /** What failed, on what, and what to do about it. No secrets. */
  readonly message: string;
  /** Default `internal`. */
  readonly source?: ErrorSource;
  /** Default `no`. */
  readonly retry?: ErrorRetry;
  readonly cause?: unknown;
  /** Facts for the log: names, limits, addresses. */
  readonly context?: Readonly<Record<string, unknown>>;
}

/** A failure with a documented code. */
export class WeirError extends Error {
  readonly code: string;
  readonly source: ErrorSource;
  readonly retry: ErrorRetry;
  readonly context: Readonly<Record<string, unknown>>;

  constructor(options: WeirErrorOptions) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "WeirError";
    this.code = options.code;
    this.source = options.source ?? "internal";
    this.retry = options.retry ?? "no";
    this.context = options.context ?? {};
  }
}

/** Tells whether `error` is a WeirError, with that code when one is given. */
export function isWeirError(error: unknown, code?: string): error is WeirError {
  return error instanceof WeirError && (code === undefined || error.code === code);
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
