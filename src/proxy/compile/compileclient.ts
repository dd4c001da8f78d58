// HTTP connection manager → what a listener believes of its clients' own account, and what it adds to it (forwarded.ts). Pure.
import type { HttpConnectionManager } from "../../xds/types.ts";
import {
  HeaderMutationSchema,
  HttpProtocolOptions_HeadersWithUnderscoresAction,
  unpack,
} from "../../xds/types.ts";
import { type ClientRules, lengthsOf, UNDERSCORES } from "../admit/forwarded.ts";
import { lowerBytes } from "../wire/bytes.ts";
import type { Problems } from "./problems.ts";

/** Most entries of X-Forwarded-For that are looked through. */
const MAX_TRUSTED_HOPS = 32;
/** Most fields that are removed early. */
const MAX_REMOVED = 32;
/** Framing and routing rest on these. */
const KEPT = /^(:.*|host|content-length|transfer-encoding|connection)$/;

/** Reads what concerns the client. `at` is the path of the manager. */
export function compileClientRules(hcm: HttpConnectionManager, at: string, problems: Problems): ClientRules {
  if (hcm.xffNumTrustedHops > MAX_TRUSTED_HOPS)
    problems.add(`${at}.xff_num_trusted_hops`, `is above ${MAX_TRUSTED_HOPS}`);
  const removed = removedOf(hcm, at, problems);
  return {
    trustedHops: hcm.xffNumTrustedHops,
    // Not as in Envoy: a listener that says nothing faces clients.
    isEdge: hcm.useRemoteAddress ?? true,
    isAppending: !hcm.skipXffAppend,
    underscores: underscoresOf(hcm),
    removed,
    removedLengths: lengthsOf(removed),
    isIdMade: hcm.generateRequestId ?? true,
    isIdKept: hcm.preserveExternalRequestId,
    isIdInAnswer: hcm.alwaysSetRequestIdInResponse,
    sampledTraces: sampledOf(hcm, at, problems),
  };
}

/** Traces of 2^32. Without a percentage all are sampled, as in Envoy. */
function sampledOf(hcm: HttpConnectionManager, at: string, problems: Problems): number {
  if (hcm.tracing === undefined) return -1;
  const percent = hcm.tracing.randomSampling?.value ?? 100;
  if (!(percent >= 0 && percent <= 100))
    problems.add(`${at}.tracing.random_sampling`, "is not between 0 and 100");
  return Math.round((percent / 100) * 2 ** 32);
}

function underscoresOf(hcm: HttpConnectionManager): number {
  const { REJECT_REQUEST, DROP_HEADER } = HttpProtocolOptions_HeadersWithUnderscoresAction;
  const action = hcm.commonHttpProtocolOptions?.headersWithUnderscoresAction;
  if (action === REJECT_REQUEST) return UNDERSCORES.REJECT;
  return action === DROP_HEADER ? UNDERSCORES.DROP : UNDERSCORES.ALLOW;
}

function removedOf(hcm: HttpConnectionManager, at: string, problems: Problems): readonly Uint8Array[] {
  const removed: Uint8Array[] = [];
  hcm.earlyHeaderMutationExtensions.forEach(({ typedConfig }, e) => {
    const path = `${at}.early_header_mutation_extensions[${e}].typed_config`;
    const config = unpack(HeaderMutationSchema, typedConfig);
    if (config === undefined) problems.add(path, "is no header mutation");
    config?.mutations.forEach(({ action }, m) => {
      const name = action.case === "remove" ? action.value.toLowerCase() : "";
      if (name === "" || KEPT.test(name))
        problems.add(`${path}.mutations[${m}]`, "removes no field that may be removed");
      else removed.push(lowerBytes(name));
    });
  });
  if (removed.length > MAX_REMOVED)
    problems.add(`${at}.early_header_mutation_extensions`, `removes more than ${MAX_REMOVED} fields`);
  return removed;
}
