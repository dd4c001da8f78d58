// RequestMirrorPolicy messages → mirror rules of a route. The innermost list that is not empty counts (route, virtual host, route
// configuration), as in Envoy. Pure.
import { FractionalPercent_DenominatorType, type RequestMirrorPolicy } from "../../xds/types.ts";
import { MIRROR_SCALE } from "../forward/copies.ts";
import type { MirrorRule } from "../route/table.ts";
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
    return {
      cluster: policy.cluster,
      share: shareOf(policy, path, problems),
      hasHostSuffix: !policy.disableShadowHostSuffixAppend,
      cell: cellOf(route, policy.cluster),
    };
  });
}

function shareOf({ runtimeFraction }: RequestMirrorPolicy, path: string, problems: Problems): number {
  const fraction = runtimeFraction?.defaultValue;
  if (runtimeFraction === undefined) return MIRROR_SCALE;
  if (fraction === undefined) {
    problems.add(`${path}.runtime_fraction.default_value`, "is missing");
    return 0;
  }
  // The enum is open: any number may arrive.
  const parts = PARTS[fraction.denominator] ?? 0;
  if (fraction.numerator > parts)
    problems.add(
      `${path}.runtime_fraction.default_value`,
      `is more than all: ${fraction.numerator}/${parts}`,
    );
  return (fraction.numerator * MIRROR_SCALE) / parts;
}

const PARTS: Readonly<Partial<Record<FractionalPercent_DenominatorType, number>>> = {
  [FractionalPercent_DenominatorType.HUNDRED]: 100,
  [FractionalPercent_DenominatorType.TEN_THOUSAND]: 10_000,
  [FractionalPercent_DenominatorType.MILLION]: MIRROR_SCALE,
};
