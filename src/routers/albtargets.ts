// What AWS says of an Ingress: its load balancers' target groups, by the Service that the load balancer controller made each for, with the
// weights that are really set. Pure; asking AWS is the controller's business. Source: Argo: rollout/trafficrouting/alb/alb.go VerifyWeight, v1.9.
import type { Ingress, Rollout, RolloutStatus, ServiceWeight, Verification } from "../api/api.ts";

/** A load balancer as its API describes it. */
export interface LoadBalancer {
  readonly name: string;
  readonly arn: string;
  readonly targetGroups: readonly TargetGroup[];
}

export interface TargetGroup {
  readonly name: string;
  readonly arn: string;
  readonly tags: Readonly<Record<string, string>>;
  /** As the listener's rules set it; absent: no rule weighs it. */
  readonly weight?: number;
}

/** By DNS name: a description, or why there is none. */
export type BalancerAnswers = ReadonlyMap<string, LoadBalancer | string>;

/** Where the load balancer controller writes down what it made a target group for: `<namespace>/<ingress>-<service>:<port>`. */
const RESOURCE_TAG = "ingress.k8s.aws/resource";

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
  const balancers: { name: string; weights: readonly ServiceWeight[] }[] = [];
  for (const ingress of ingresses) {
    const names = hostnamesOf(ingress);
    if (names.length === 0)
      return { kind: "unknown", why: `ingress \`${ingress.metadata.name}\` has no load balancer yet` };
    for (const name of names) {
      const answer = answers.get(name) ?? "not asked yet";
      if (typeof answer === "string") return { kind: "unknown", why: `load balancer ${name}: ${answer}` };
      const weights = answer.targetGroups.flatMap((group): ServiceWeight[] => {
        const service = serviceOf(ingress, port, group);
        return service === undefined || group.weight === undefined ? [] : [{ service, weight: group.weight }];
      });
      balancers.push({ name: answer.name, weights });
    }
  }
  return { kind: "seen", balancers };
}

/** The status fields that name what serves the Rollout, as far as it is known. */
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
    if (balancer === undefined) return [];
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
  const last = albs.at(-1) ?? rollout.status.alb;
  return last === undefined
    ? {}
    : { alb: last, albs: albs.length === 0 ? (rollout.status.albs ?? []) : albs };
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
function serviceOf({ metadata }: Ingress, port: number, { tags }: TargetGroup): string | undefined {
  const tag = tags[RESOURCE_TAG] ?? "";
  const prefix = `${metadata.namespace ?? ""}/${metadata.name}-`;
  const suffix = `:${port}`;
  return tag.startsWith(prefix) && tag.endsWith(suffix)
    ? tag.slice(prefix.length, -suffix.length)
    : undefined;
}
