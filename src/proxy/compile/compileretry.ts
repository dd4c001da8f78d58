// RetryPolicy messages → RetryPolicy. Pure; problems are collected, not thrown. What the words of retry_on mean is Envoy's.
import type { RetryPolicy as RetryPolicyMessage } from "../../xds/types.ts";
import { durationMs, PreviousHostsPredicateSchema, unpack } from "../../xds/types.ts";
import { type RetryPolicy, STATUS_COUNT } from "../forward/retry.ts";
import { headerRule } from "./compilematch.ts";
import type { Problems } from "./problems.ts";

const BASE_MS = 25;
/** The longest wait, in bases, where none is given. */
const MAX_BASES = 10;
const CONFLICT = 409;
const GATEWAY_STATUSES = [502, 503, 504];
/** Words of retry_on after which a lost connection, a malformed or a late answer is tried again. */
const RESET_WORDS = ["5xx", "gateway-error", "reset"];
const CONNECT_WORDS = [...RESET_WORDS, "connect-failure", "reset-before-request"];

/** Reads a policy at path `at`; null when it asks for nothing. */
export function compileRetry(
  message: RetryPolicyMessage | undefined,
  at: string,
  problems: Problems,
): RetryPolicy | null {
  if (message === undefined) return null;
  const words = message.retryOn.split(",").map((word) => word.trim());
  const statuses = new Uint8Array(STATUS_COUNT);
  if (words.includes("5xx")) statuses.fill(1, 500, 600);
  if (words.includes("gateway-error")) for (const status of GATEWAY_STATUSES) statuses[status] = 1;
  if (words.includes("retriable-4xx")) statuses[CONFLICT] = 1;
  if (words.includes("retriable-status-codes"))
    message.retriableStatusCodes.forEach((status, index) => {
      if (status < 200 || status >= STATUS_COUNT)
        problems.add(`${at}.retriable_status_codes[${index}]`, `is no final status: ${status}`);
      else statuses[status] = 1;
    });
  const headers = words.includes("retriable-headers")
    ? message.retriableHeaders.map((header, index) => {
        const path = `${at}.retriable_headers[${index}]`;
        const rule = headerRule(header, path, problems);
        if (rule.name.startsWith(":")) problems.add(`${path}.name`, "is no field of an answer");
        return rule;
      })
    : [];
  const requestHeaders = message.retriableRequestHeaders.map((header, index) =>
    headerRule(header, `${at}.retriable_request_headers[${index}]`, problems),
  );
  const retries = message.numRetries ?? 1;
  const baseMs = durationMs(message.retryBackOff?.baseInterval) ?? BASE_MS;
  const maxMs = durationMs(message.retryBackOff?.maxInterval) ?? baseMs * MAX_BASES;
  if (baseMs <= 0) problems.add(`${at}.retry_back_off.base_interval`, "must be above 0");
  if (maxMs < baseMs) problems.add(`${at}.retry_back_off.max_interval`, "is below base_interval");
  const isOnReset = words.some((word) => RESET_WORDS.includes(word));
  const isOnConnectFailure = words.some((word) => CONNECT_WORDS.includes(word));
  const perTryMs = durationMs(message.perTryTimeout) ?? 0;
  const isRetrying =
    retries > 0 && (isOnReset || isOnConnectFailure || statuses.includes(1) || headers.length > 0);
  if (!isRetrying && perTryMs === 0) return null;
  message.retryHostPredicate.forEach(({ configType }, index) => {
    const config = configType.case === "typedConfig" ? configType.value : undefined;
    if (config === undefined || unpack(PreviousHostsPredicateSchema, config) === undefined)
      problems.add(`${at}.retry_host_predicate[${index}].typed_config`, "is no PreviousHostsPredicate");
  });
  return {
    retries: isRetrying ? retries : 0,
    perTryMs,
    baseMs,
    maxMs,
    statuses,
    headers,
    requestHeaders,
    isOnReset,
    isOnConnectFailure,
    isElsewhere: message.retryHostPredicate.length > 0,
  };
}
