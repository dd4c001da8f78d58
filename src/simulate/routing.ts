// The part of the model in which routers beside weir's own work: the Ingresses that are there, and what is written to them.
import { type KubeObject, readRollout } from "../api/api.ts";
import type { Plan } from "../engine/decide.ts";
import { applyMergePatch } from "../lib/patch.ts";
import { type Patch, renderRouters } from "../routers/routers.ts";

/** The writes that a plan leads to. */
export function routerWrites(
  rollout: KubeObject,
  plan: Plan,
  objects: ReadonlyMap<string, KubeObject>,
): readonly Patch[] {
  if (plan.routing === undefined) return [];
  return renderRouters(readRollout(rollout).value, plan.routing, [...objects.values()]);
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
