// What AWS says of an Ingress: its load balancers' target groups, by the Service that the load balancer controller made each for, with the
// weights that are really set. Pure; asking AWS is the controller's business. Source: Argo: rollout/trafficrouting/alb/alb.go VerifyWeight, v1.9.
import type { GroupWeight, Ingress, Rollout, RolloutStatus, Verification } from "../api/api.ts";

/** A load balancer as its API describes it. */
export interface LoadBalancer {
  readonly name: string;
  readonly arn: string;
  readonly targetGroups: readonly TargetGroup[];
}

export interface TargetGroup {
  readonly name: string;
  readonly arn: string;
  /** What the load balancer controller made it for, `<namespace>/<ingress>-<service>:<port>`; absent: it did not make it. */
  readonly resource?: string;
  /** As the listeners' rules set it, each value once; empty: no rule weighs it. */
  readonly weights: readonly number[];
}

/** By DNS name: a description, undefined where there is no load balancer of that name, or why it cannot be asked. */
export type BalancerAnswers = ReadonlyMap<string, LoadBalancer | string | undefined>;

type AlbStatus = NonNullable<RolloutStatus["alb"]>;

/** The DNS names of the Ingresses' load balancers, as far as they have got any. */
export function balancerNames(ingresses: readonly Ingress[]): readonly string[] {
  return [...new Set(ingresses.flatMap(hostnamesOf))];
}

/** What the load balancers of all the Ingresses say. */
export function verificationOf(
  ingresses: readonly Ingress[],
  port: number,
  answers: BalancerAnswers,
): Verification {
  const balancers: { name: string; weights: readonly GroupWeight[] }[] = [];
  for (const ingress of ingresses) {
    const names = hostnamesOf(ingress);
    if (names.length === 0)
      return { kind: "unknown", why: `ingress \`${ingress.metadata.name}\` has no load balancer yet` };
    for (const name of names) {
      if (!answers.has(name)) return { kind: "unknown", why: `load balancer ${name} has not answered yet` };
      const answer = answers.get(name);
      if (answer === undefined) return { kind: "notFound", name };
      if (typeof answer === "string") return { kind: "failed", name, why: answer };
      const weights = answer.targetGroups.flatMap((group): GroupWeight[] => {
        const service = serviceOf(ingress, port, group);
        if (service === undefined) return [];
        return group.weights.map((weight) => ({ service, weight, targetGroup: group.arn }));
      });
      balancers.push({ name: answer.name, weights });
    }
  }
  return { kind: "seen", balancers };
}

/** The status fields that name what serves the Rollout, as far as it is known; where nobody has answered, as it was known. */
export function albStatusOf(
  rollout: Rollout,
  ingresses: readonly Ingress[],
  services: { readonly canary: string; readonly stable: string },
  port: number,
  answers: BalancerAnswers,
): Pick<RolloutStatus, "alb" | "albs"> {
  const albs = ingresses.flatMap((ingress): AlbStatus[] => {
    const balancer = hostnamesOf(ingress)
      .map((name) => answers.get(name))
      .find((answer) => typeof answer === "object");
    if (balancer === undefined)
      return (rollout.status.albs ?? []).filter((known) => known.ingress === ingress.metadata.name);
    const { name, arn, targetGroups } = balancer;
    const group = (service: string) => targetGroups.find((one) => serviceOf(ingress, port, one) === service);
    const canary = group(services.canary);
    const stable = group(services.stable);
    return [
      {
        loadBalancer: { name, arn, fullName: after(arn, 2) },
        ...(canary === undefined ? {} : { canaryTargetGroup: named(canary) }),
        ...(stable === undefined ? {} : { stableTargetGroup: named(stable) }),
        ingress: ingress.metadata.name,
      },
    ];
  });
  const last = albs.at(-1);
  return last === undefined ? {} : { alb: last, albs };
}

function named({ name, arn }: TargetGroup) {
  return { name, arn, fullName: after(arn, 1) };
}

/** An ARN without its first parts. */
function after(arn: string, parts: number): string {
  return arn.split("/").slice(parts).join("/");
}

function hostnamesOf({ status }: Ingress): readonly string[] {
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ hostname = "" }) =>
    hostname === "" ? [] : [hostname],
  );
}

/** The Service of this Ingress and port that the target group stands for. */
function serviceOf({ metadata }: Ingress, port: number, { resource = "" }: TargetGroup): string | undefined {
  const prefix = `${metadata.namespace ?? ""}/${metadata.name}-`;
  const suffix = `:${port}`;
  return resource.startsWith(prefix) && resource.endsWith(suffix)
    ? resource.slice(prefix.length, -suffix.length)
    : undefined;
}
