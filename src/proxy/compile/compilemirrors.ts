// RequestMirrorPolicy messages → mirror rules of a route. The innermost list that is not empty counts (route, virtual host, route
// configuration), as in Envoy. Pure.
import type { RequestMirrorPolicy } from "../../xds/types.ts";
import { type MirrorRule, WHOLE } from "../route/table.ts";
import { compileShare } from "./compileshare.ts";
import type { Problems } from "./problems.ts";

/** Policies and the path at which they stand. */
export interface MirrorPolicies {
  readonly policies: readonly RequestMirrorPolicy[];
  readonly at: string;
}

/** The list in force: `inner` unless it is empty. */
export function innermost(inner: MirrorPolicies, outer: MirrorPolicies): MirrorPolicies {
  return inner.policies.length > 0 ? inner : outer;
}

/** Reads the policies for the route called `route`. */
export function compileMirrors(
  { policies, at }: MirrorPolicies,
  route: string,
  cellOf: (route: string, cluster: string) => number,
  problems: Problems,
): readonly MirrorRule[] {
  return policies.map((policy, index) => {
    const path = `${at}[${index}]`;
    if (policy.cluster === "") problems.add(`${path}.cluster`, "is empty");
    const { share, shareOf } = compileShare(policy.runtimeFraction, `${path}.runtime_fraction`, problems);
    return {
      cluster: policy.cluster,
      share: (share * WHOLE) / shareOf,
      hasHostSuffix: !policy.disableShadowHostSuffixAppend,
      cell: cellOf(route, policy.cluster),
    };
  });
}
