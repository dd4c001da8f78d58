// What is tried again: an HTTPRoute rule's `retry` and `timeouts.backendRequest`, else the TrafficPolicy section `retry` and `timeouts.perTry`. Pure.
import type { HttpRouteRule, PolicySections } from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import { durationOf, PreviousHostsPredicateSchema, pack } from "../xds/types.ts";
import type { Refuse } from "./actions.ts";
import type { RouteActionInit } from "./forward.ts";
import type { Report } from "./input.ts";
import { type Applied, durationFor } from "./policies.ts";

export type RetryInit = NonNullable<RouteActionInit["retryPolicy"]>;

/** Failures of a connection: what Gateway API asks to be tried again wherever anything is. */
const CONNECTION_WORDS = ["connect-failure", "reset"];
const WORDS = ["5xx", "gateway-error", "reset", "connect-failure", "retriable-4xx"];
const MAX_ATTEMPTS = 100;
const BASE_MS = 25;
/** The longest wait, in bases, where none is given. */
const MAX_BASES = 10;
/** So many times Envoy looks for an endpoint that was not tried yet. */
const SELECTIONS = 5;

/** `kind: "none"`: nothing is asked for; undefined: the rule asks for what cannot be carried out, which is reported. */
export type Retries =
  | { readonly kind: "none" }
  | {
      readonly kind: "policy";
      readonly policy: RetryInit;
      /** A try whose time is over goes on beside the next one. */
      readonly isHedged: boolean;
    };

/** The retries of a rule. */
export function retriesOf(
  rule: HttpRouteRule | undefined,
  applied: Applied,
  refuse: Refuse,
  report: Report,
): Retries | undefined {
  const own = rule?.timeouts?.backendRequest;
  const perTryMs =
    own === undefined ? durationFor(applied, "timeouts", "perTry", report) : parseDuration(own);
  if (own !== undefined && (perTryMs === undefined || perTryMs < 0))
    return void refuse(".timeouts.backendRequest", `${JSON.stringify(own)} is not a duration such as 10s`);
  const asked = rule?.retry === undefined ? policyRetry(applied, report) : ruleRetry(rule.retry, refuse);
  if (asked === undefined) return undefined;
  const hasPerTry = perTryMs !== undefined && perTryMs > 0;
  const perTry = hasPerTry ? { perTryTimeout: durationOf(perTryMs) } : {};
  const isHedged = hasPerTry && asked !== "none" && applied.sections.retry?.hedgeOnPerTryTimeout === true;
  if (!isHedged && rule?.retry === undefined && own === undefined) reportUnhedged(applied, perTryMs, report);
  if (asked !== "none") return { kind: "policy", policy: { ...asked, ...perTry }, isHedged };
  return hasPerTry ? { kind: "policy", policy: { numRetries: 0, ...perTry }, isHedged } : { kind: "none" };
}

/** Says what hedging would need and the policy itself does not have. What is wrong with the rest of it is told there. */
function reportUnhedged({ sections, sources }: Applied, perTryMs: number | undefined, report: Report): void {
  const { retry, timeouts } = sections;
  if (retry?.hedgeOnPerTryTimeout !== true) return;
  const isTimed = timeouts?.perTry !== undefined && perTryMs !== 0;
  const missing = isTimed
    ? "tries beyond the first (attempts)"
    : "a time for one try (timeouts.perTry, or the rule's timeouts.backendRequest)";
  if (!isTimed || retry.attempts === 0)
    report(sources.retry ?? "", "spec.retry.hedgeOnPerTryTimeout", `needs ${missing}; nothing is hedged`);
}

function ruleRetry(
  retry: NonNullable<HttpRouteRule["retry"]>,
  refuse: Refuse,
): RetryInit | "none" | undefined {
  const { codes = [], attempts = 1, backoff } = retry;
  const bad = codes.findIndex((code) => !isStatus(code));
  if (bad >= 0) return void refuse(`.retry.codes[${bad}]`, `${codes[bad]} is no status from 400 to 599`);
  if (!isCount(attempts))
    return void refuse(".retry.attempts", `${attempts} is not between 0 and ${MAX_ATTEMPTS}`);
  const baseMs = backoff === undefined ? BASE_MS : parseDuration(backoff);
  if (baseMs === undefined || baseMs < 1)
    return void refuse(".retry.backoff", `${JSON.stringify(backoff)} is not a duration such as 100ms`);
  return attempts === 0 ? "none" : policyOf(CONNECTION_WORDS, codes, attempts, baseMs, baseMs * MAX_BASES);
}

function policyRetry({ sections, sources }: Applied, report: Report): RetryInit | "none" {
  const { retry } = sections;
  if (retry === undefined) return "none";
  const wrong = (field: string, words: string): "none" => {
    report(sources.retry ?? "", `spec.retry.${field}`, `${words}; nothing is tried again`);
    return "none";
  };
  const { on = CONNECTION_WORDS, codes = [], attempts = 1, backoff = {} } = retry;
  const badWord = on.findIndex((word) => !WORDS.includes(word));
  if (badWord >= 0)
    return wrong(`on[${badWord}]`, `${JSON.stringify(on[badWord])} is not ${WORDS.join(", ")}`);
  const bad = codes.findIndex((code) => !isStatus(code));
  if (bad >= 0) return wrong(`codes[${bad}]`, `${codes[bad]} is no status from 400 to 599`);
  if (!isCount(attempts)) return wrong("attempts", `${attempts} is not between 0 and ${MAX_ATTEMPTS}`);
  const baseMs = backoff.base === undefined ? BASE_MS : parseDuration(backoff.base);
  if (baseMs === undefined || baseMs < 1)
    return wrong("backoff.base", `${JSON.stringify(backoff.base)} is not a duration such as 25ms`);
  const maxMs = backoff.max === undefined ? baseMs * MAX_BASES : parseDuration(backoff.max);
  if (maxMs === undefined || maxMs < baseMs)
    return wrong("backoff.max", `${JSON.stringify(backoff.max)} is not a duration of at least the base`);
  return attempts === 0 ? "none" : policyOf(on, codes, attempts, baseMs, maxMs);
}

/** Another endpoint is asked wherever there is one. */
function policyOf(
  words: PolicyWords,
  codes: readonly number[],
  attempts: number,
  baseMs: number,
  maxMs: number,
): RetryInit {
  return {
    retryOn: [...words, ...(codes.length > 0 ? ["retriable-status-codes"] : [])].join(","),
    retriableStatusCodes: [...codes],
    numRetries: attempts,
    retryBackOff: { baseInterval: durationOf(baseMs), maxInterval: durationOf(maxMs) },
    retryHostPredicate: [
      {
        name: "envoy.retry_host_predicates.previous_hosts",
        configType: { case: "typedConfig", value: pack(PreviousHostsPredicateSchema, {}) },
      },
    ],
    hostSelectionRetryMaxAttempts: BigInt(SELECTIONS),
  };
}

type PolicyWords = NonNullable<NonNullable<PolicySections["retry"]>["on"]>;

function isStatus(code: number): boolean {
  return code >= 400 && code <= 599;
}

function isCount(attempts: number): boolean {
  return attempts >= 0 && attempts <= MAX_ATTEMPTS;
}
