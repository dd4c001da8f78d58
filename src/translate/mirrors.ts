// Copies of a rule's requests: RequestMirror filters, each with its Service and fraction, and what managed routes of Rollouts copy to canaries.
import type { HttpRequestMirror } from "../api/api.ts";
import { FractionalPercent_DenominatorType } from "../xds/types.ts";
import type { RuleContext } from "./actions.ts";
import { destinationsOf } from "./backends.ts";
import type { RouteActionInit } from "./forward.ts";
import { managedMirrors } from "./managed.ts";

type Policy = NonNullable<RouteActionInit["requestMirrorPolicies"]>[number];

const MILLION = 1_000_000;

/** The mirrors of a rule; undefined when one of them cannot be carried out, which is reported. */
export function mirrorsOf(context: RuleContext): Policy[] | undefined {
  const policies: Policy[] = [];
  for (const [index, filter] of (context.rule.filters ?? []).entries()) {
    if (filter.type !== "RequestMirror") continue;
    const policy = mirrorOf(context, filter.requestMirror, `.filters[${index}].requestMirror`);
    if (policy === undefined) return undefined;
    policies.push(policy);
  }
  const { httpRoute, rule, book, chosen, applied } = context;
  const destinations = destinationsOf(rule, httpRoute.metadata.namespace ?? "");
  const hasSuffix = applied.sections.mirrors?.hostSuffix !== false;
  return [...policies, ...managedMirrors(destinations, chosen, book, hasSuffix)];
}

function mirrorOf(
  { httpRoute, book, applied, refuse }: RuleContext,
  mirror: HttpRequestMirror | undefined,
  at: string,
): Policy | undefined {
  const ref = mirror?.backendRef;
  if (ref === undefined) return void refuse(at, "names no backendRef");
  const namespace = httpRoute.metadata.namespace ?? "";
  if ((ref.group ?? "") !== "" || (ref.kind ?? "Service") !== "Service")
    return void refuse(`${at}.backendRef`, `only Services can be mirrors, not ${ref.kind ?? ref.group}`);
  if ((ref.namespace ?? namespace) !== namespace)
    return void refuse(`${at}.backendRef.namespace`, "a backend in another namespace is not carried out yet");
  if (ref.port === undefined) return void refuse(`${at}.backendRef.port`, "a Service needs its port here");
  const share = shareOf(mirror ?? {});
  if (share === undefined || share > 1)
    return void refuse(at, "percent goes from 0 to 100 and fraction to at most 1, one of the two");
  return {
    cluster: book.mirror({ namespace, service: ref.name, port: ref.port }),
    disableShadowHostSuffixAppend: applied.sections.mirrors?.hostSuffix === false,
    ...(share < 1 && {
      runtimeFraction: {
        defaultValue: {
          numerator: Math.round(share * MILLION),
          denominator: FractionalPercent_DenominatorType.MILLION,
        },
      },
    }),
  };
}

/** The share of requests, 0 to 1; all of them by default. Undefined: it is no share. */
function shareOf({ percent, fraction }: HttpRequestMirror): number | undefined {
  if (percent !== undefined && fraction !== undefined) return undefined;
  if (percent !== undefined) return percent < 0 ? undefined : percent / 100;
  if (fraction === undefined) return 1;
  const { numerator, denominator = 100 } = fraction;
  return denominator <= 0 || numerator < 0 ? undefined : numerator / denominator;
}
