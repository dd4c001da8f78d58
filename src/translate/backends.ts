// The backends of a rule as versions with shares: Services of one Rollout count as its versions, each time they are named. What of them is
// sent as a route's weights is decided by forward.ts.
import type { HttpBackendRef, HttpRouteRule } from "../api/api.ts";
import type { RuleContext } from "./actions.ts";
import type { Split } from "./clusters.ts";
import { type EditsInit, editsOf } from "./filters.ts";
import type { Destination } from "./input.ts";
import { steered } from "./managed.ts";
import { textOf } from "./memo.ts";
import type { Target } from "./versions.ts";

/** One version, and its share of the rule's requests in parts of the common scale. */
export interface Version {
  readonly cluster: string;
  readonly role: Target["role"];
  readonly weight: number;
  /** What is changed about its requests and answers. */
  readonly edits: EditsInit;
}

/** Versions that share one backend's part of the requests; the stable one is the last. */
export type Backend = readonly Version[];

export interface Backends {
  /** In the order in which the rule names them. */
  readonly list: readonly Backend[];
  /** Of the first Rollout that the rule leads to. */
  readonly salt?: string;
}

/** Source: Gateway API, HTTPBackendRef.weight. */
const MAX_WEIGHT = 1_000_000;

/** All backends of a rule; undefined when one of them cannot be carried out, which is reported. */
export function backendsOf({
  httpRoute,
  rule,
  book,
  chosen,
  refuse,
  report,
}: RuleContext): Backends | undefined {
  const refs = rule.backendRefs ?? [];
  if (refs.length === 0) return void refuse(".backendRefs", "there is no backend");
  const namespace = httpRoute.metadata.namespace ?? "";
  const named: Named[] = [];
  const seen = new Map<string, string>();
  for (const [index, ref] of refs.entries()) {
    const at = `.backendRefs[${index}]`;
    const problem = problemOf(ref, namespace);
    if (problem !== undefined || ref.port === undefined)
      return void refuse(
        `${at}${problem?.field ?? ".port"}`,
        problem?.words ?? "a Service needs its port here",
      );
    const edits = editsOf(ref.filters ?? [], `${at}.filters`, [], refuse);
    if (edits === undefined) return undefined;
    const key = `${ref.name}:${ref.port}`;
    if ((seen.get(key) ?? textOf(edits)) !== textOf(edits))
      return void refuse(`${at}.filters`, `Service ${ref.name} is named before with other filters`);
    seen.set(key, textOf(edits));
    const destination = { namespace, service: ref.name, port: ref.port };
    const lack = book.lackOf(destination);
    if (lack !== undefined)
      report(
        `HTTPRoute ${namespace}/${httpRoute.metadata.name}`,
        `spec.rules[${httpRoute.spec?.rules?.indexOf(rule)}]${at}`,
        `${lack}; requests for it are answered with 503 until it does`,
        true,
      );
    const split = steered(book.split(destination), chosen);
    named.push({ split, weight: ref.weight ?? 1, edits });
  }
  if (
    named.every(({ split, weight }) => weight === 0 || split.targets.every((target) => target.weight === 0))
  )
    return void refuse(".backendRefs", "all weights are 0");
  return combined(named);
}

/** The Services that a rule leads to, as far as they can be backends. */
export function destinationsOf(
  { backendRefs = [] }: HttpRouteRule,
  namespace: string,
): readonly Destination[] {
  return backendRefs.flatMap((ref) =>
    ref.port === undefined || problemOf(ref, namespace) !== undefined
      ? []
      : [{ namespace, service: ref.name, port: ref.port }],
  );
}

interface Named {
  readonly split: Split;
  readonly weight: number;
  readonly edits: EditsInit;
}

function problemOf(ref: HttpBackendRef, namespace: string): { field: string; words: string } | undefined {
  if ((ref.group ?? "") !== "" || (ref.kind ?? "Service") !== "Service")
    return { field: "", words: `only Services can be backends, not ${ref.kind ?? ref.group}` };
  if ((ref.namespace ?? namespace) !== namespace)
    return { field: ".namespace", words: "a backend in another namespace is not carried out yet" };
  const { weight = 1 } = ref;
  if (weight < 0 || weight > MAX_WEIGHT)
    return { field: ".weight", words: `${weight} is not between 0 and ${MAX_WEIGHT}` };
  return undefined;
}

/**
 * Backends on one integer scale, each share kept exactly; one that is named again adds to the first. Of a Rollout with both Services named the
 * edits of each go with its version; with one of them named, with both versions.
 */
export function combined(named: readonly Named[]): Backends {
  const common = named.reduce((scale, { split }) => leastCommonMultiple(scale, split.scale), 1);
  const backends = new Map<string, Version[]>();
  for (const { split, weight, edits } of named) {
    const unit = weight * (common / split.scale);
    const versions = split.targets.map(({ cluster, role, weight: share }) => ({
      cluster,
      role,
      weight: unit * share,
      edits,
    }));
    const key = versions.map(({ cluster }) => cluster).join(" ");
    const known = backends.get(key);
    backends.set(
      key,
      versions.map((version, index) => ({
        ...version,
        weight: version.weight + (known?.[index]?.weight ?? 0),
        edits: version.role === split.role ? edits : (known?.[index]?.edits ?? edits),
      })),
    );
  }
  const list = [...backends.values()].map((versions) => versions.sort(stableLast));
  const salt = named.find(({ split }) => split.salt !== undefined)?.split.salt;
  return { list, ...(salt !== undefined && { salt }) };
}

function stableLast(a: Version, b: Version): number {
  return Number(a.role === "stable") - Number(b.role === "stable");
}

function leastCommonMultiple(a: number, b: number): number {
  return (a / greatestCommonDivisor(a, b)) * b;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
