// TrafficPolicies: which of them hold for a Gateway's listener, an HTTPRoute's rule, a Service's port. Section by section the narrowest target wins
// (a named rule before its route, the route before the listener, the listener before the Gateway); of two on one target the older,
// then the first by name. Sections are not merged field by field. Source: Gateway API, policy attachment (GEP-713).
import {
  type Gateway,
  type HttpRoute,
  POLICY_TARGETS,
  type PolicySection,
  type PolicySections,
  type PolicyTargetRef,
  type TrafficPolicy,
} from "../api/api.ts";
import { parseDuration } from "../lib/duration.ts";
import type { Report } from "./input.ts";

const GATEWAY_GROUP = "gateway.networking.k8s.io";

/** What applies, and where each section comes from (`TrafficPolicy ns/name`), for reports. */
export interface Applied {
  readonly sections: PolicySections;
  readonly sources: Readonly<Partial<Record<PolicySection, string>>>;
}

export interface PolicyBook {
  /** What holds for a listener. */
  listener(gateway: Gateway, listener: string): Applied;
  /** What holds for a rule of a route behind a listener: the route's policies, then the listener's. */
  rule(gateway: Gateway, listener: string, route: HttpRoute, rule: string | undefined): Applied;
  /** What holds for a port of a Service. */
  service(namespace: string, service: string, port: string | undefined): Applied;
}

interface Target {
  readonly kind: "Gateway" | "HTTPRoute" | "Service";
  readonly namespace: string;
  readonly name: string;
  readonly section: string | undefined;
}

const TARGETS = "Gateway, HTTPRoute or Service";

/** No policy holds. */
export const NO_POLICY: Applied = { sections: {}, sources: {} };

/** Makes the book of all policies; what is wrong with one of them is reported. */
export function createPolicyBook(policies: readonly TrafficPolicy[], report: Report): PolicyBook {
  const byTarget = new Map<string, TrafficPolicy[]>();
  for (const policy of [...policies].sort(olderFirst)) {
    const { targetRefs } = policy.spec;
    if (targetRefs.length === 0)
      report(
        aboutPolicy(policy),
        "spec.targetRefs",
        `names no target, expected ${TARGETS}: the policy holds nowhere`,
      );
    for (const [index, ref] of targetRefs.entries()) {
      const target = targetOf(policy, ref);
      if (target === undefined) {
        const { kind, group = "" } = ref;
        const given =
          kind === "" ? "has no kind" : `${kind} of the group ${JSON.stringify(group)} is no target`;
        report(aboutPolicy(policy), `spec.targetRefs[${index}]`, `${given}, expected ${TARGETS}`);
        continue;
      }
      for (const section of misplaced(policy, target.kind))
        report(aboutPolicy(policy), `spec.${section}`, misplacedWords(section, target.kind));
      const key = keyOf(target);
      byTarget.set(key, [...(byTarget.get(key) ?? []), policy]);
    }
  }
  const resolve = (targets: readonly Target[]): Applied => {
    const found = targets.flatMap((target) =>
      (byTarget.get(keyOf(target)) ?? []).map((policy) => ({ policy, kind: target.kind })),
    );
    return found.length === 0 ? NO_POLICY : nearest(found);
  };
  const onListener = (gateway: Gateway, listener: string): Target[] =>
    narrowFirst("Gateway", gateway.metadata.namespace, gateway.metadata.name, listener);
  return {
    listener: (gateway, listener) => resolve(onListener(gateway, listener)),
    rule: (gateway, listener, route, rule) =>
      resolve([
        ...narrowFirst("HTTPRoute", route.metadata.namespace, route.metadata.name, rule),
        ...onListener(gateway, listener),
      ]),
    service: (namespace, service, port) => resolve(narrowFirst("Service", namespace, service, port)),
  };
}

/** A duration of a section in milliseconds; undefined when it is absent, or no duration, which is reported. */
export function durationFor<S extends PolicySection>(
  { sections, sources }: Applied,
  section: S,
  field: keyof NonNullable<PolicySections[S]> & string,
  report: Report,
): number | undefined {
  const values: Partial<Record<typeof field, unknown>> = sections[section] ?? {};
  const text = values[field];
  if (typeof text !== "string") return undefined;
  const found = parseDuration(text);
  const isDuration = found !== undefined && found >= 0;
  if (!isDuration)
    report(
      sources[section] ?? "",
      `spec.${section}.${field}`,
      `${JSON.stringify(text)} is not a duration such as 10s; it is left out`,
    );
  return isDuration ? found : undefined;
}

function nearest(
  found: readonly { readonly policy: TrafficPolicy; readonly kind: Target["kind"] }[],
): Applied {
  const sections: Record<string, unknown> = {};
  const sources: Partial<Record<PolicySection, string>> = {};
  for (const { policy, kind } of found) {
    for (const section of sectionsOf(policy)) {
      if (sources[section] !== undefined || !POLICY_TARGETS[section].includes(kind)) continue;
      sections[section] = policy.spec[section];
      sources[section] = aboutPolicy(policy);
    }
  }
  // Each value was read under its own section's name.
  return { sections: sections as PolicySections, sources };
}

function sectionsOf(policy: TrafficPolicy): PolicySection[] {
  // The keys of the table are exactly the sections.
  const all = Object.keys(POLICY_TARGETS) as PolicySection[];
  return all.filter((section) => policy.spec[section] !== undefined);
}

function misplaced(policy: TrafficPolicy, kind: Target["kind"]): PolicySection[] {
  return sectionsOf(policy).filter((section) => !POLICY_TARGETS[section].includes(kind));
}

function misplacedWords(section: PolicySection, kind: Target["kind"]): string {
  return `${section} has no meaning on a ${kind}; it goes on ${POLICY_TARGETS[section].join(" or ")}`;
}

function targetOf(policy: TrafficPolicy, ref: PolicyTargetRef): Target | undefined {
  const { kind, name } = ref;
  if (kind !== "Gateway" && kind !== "HTTPRoute" && kind !== "Service") return undefined;
  const group = kind === "Service" ? "" : GATEWAY_GROUP;
  if ((ref.group ?? group) !== group) return undefined;
  return { kind, namespace: policy.metadata.namespace ?? "default", name, section: ref.sectionName };
}

function narrowFirst(kind: Target["kind"], namespace = "default", name: string, section?: string): Target[] {
  const whole = { kind, namespace, name, section: undefined };
  return section === undefined ? [whole] : [{ ...whole, section }, whole];
}

function keyOf({ kind, namespace, name, section }: Target): string {
  return `${kind} ${namespace}/${name} ${section ?? ""}`;
}

/** `TrafficPolicy ns/name`. */
function aboutPolicy({ metadata }: TrafficPolicy): string {
  return `TrafficPolicy ${metadata.namespace ?? "default"}/${metadata.name}`;
}

function olderFirst(a: TrafficPolicy, b: TrafficPolicy): number {
  const key = ({ metadata }: TrafficPolicy): string =>
    `${metadata.creationTimestamp ?? ""} ${metadata.namespace ?? "default"}/${metadata.name}`;
  return key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0;
}
