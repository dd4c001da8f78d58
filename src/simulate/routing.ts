// The part of the model in which routers beside weir's own work: the Ingresses that are there, and what is written to them.
import { type KubeObject, type Registration, readRollout } from "../api/api.ts";
import { type Plan, podsInQuestion, type Snapshot } from "../engine/decide.ts";
import { applyMergePatch } from "../lib/patch.ts";
import { type LoadBalancer, type Patch, renderRouters, type TargetGroup } from "../routers/routers.ts";

/** The writes that a plan leads to. */
export function routerWrites(
  rollout: KubeObject,
  plan: Plan,
  objects: ReadonlyMap<string, KubeObject>,
): readonly Patch[] {
  if (plan.routerTraffic === undefined) return [];
  return renderRouters(readRollout(rollout).value, plan.routerTraffic, [...objects.values()]);
}

/** The object that a write leaves. */
export function written(objects: ReadonlyMap<string, KubeObject>, patch: Patch): KubeObject {
  if (patch.verb === "create") return patch.object;
  // A merge of an object with an object patch is an object of the same kind.
  return applyMergePatch(objects.get(patch.name.name), patch.body) as KubeObject;
}

/** An Ingress as a user writes it: everything to one Service. */
export function ingressManifest(name: string, service: string): KubeObject {
  const backend = { service: { name: service, port: { number: 80 } } };
  return {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name, namespace: "default" },
    spec: { rules: [{ http: { paths: [{ path: "/", pathType: "Prefix", backend }] } }] },
  };
}

/** `nginx=shop`, `alb=shop`: the strategy's settings of these routers, each with its Ingress; undefined without one. */
export function routingFrom(
  options: ReadonlyMap<string, string>,
): Readonly<Record<string, unknown>> | undefined {
  const nginx = options.get("nginx");
  const alb = options.get("alb");
  if (nginx === undefined && alb === undefined) return undefined;
  return {
    ...(nginx === undefined ? {} : { nginx: { stableIngress: nginx } }),
    ...(alb === undefined ? {} : { alb: { ingress: alb, servicePort: 80 } }),
  };
}

/** What load balancers know of the pods in question; `known`: how many of them, by Service. */
export function registrationsIn(
  snapshot: Snapshot,
  known: ReadonlyMap<string, number>,
): readonly Registration[] | undefined {
  const question = podsInQuestion(snapshot);
  const service = question?.service.metadata.name ?? "";
  const registered = known.get(service);
  if (question === undefined || registered === undefined) return undefined;
  const { available: total, isAwaited } = question;
  const state: Registration["state"] = isAwaited
    ? { kind: "seen", registered: Math.min(registered, total), total }
    : { kind: "unknown" };
  return [{ service, targetGroup: arn("targetgroup", service), state }];
}

function arn(kind: string, of: string): string {
  return `arn:aws:elasticloadbalancing:eu-1:1:${kind}/${of}/1`;
}

/** `shop web-canary=20 web-stable=80`: the Ingress's load balancer has these weights. */
export function balancerOf(
  ingress: KubeObject,
  weights: readonly string[],
): { readonly ingress: KubeObject; readonly dnsName: string; readonly balancer: LoadBalancer } {
  const { name, namespace = "" } = ingress.metadata;
  const dnsName = `${name}.elb.example.com`;
  const targetGroups = weights.map((pair): TargetGroup => {
    const [service = "", weight = ""] = pair.split("=");
    const resource = `${namespace}/${name}-${service}:80`;
    return { name: `k8s-${service}`, arn: arn("targetgroup", service), resource, weights: [Number(weight)] };
  });
  const status = { loadBalancer: { ingress: [{ hostname: dnsName }] } };
  return {
    ingress: { ...ingress, status },
    dnsName,
    balancer: { name, arn: arn("loadbalancer/app", name), targetGroups },
  };
}
