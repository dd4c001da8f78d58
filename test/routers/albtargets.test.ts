// Which target group stands for which Service, and what several Ingresses and load balancers say together.
import { test } from "tap";
import { type KubeObject, readIngress } from "../../src/api/api.ts";
import { balancerNames, type LoadBalancer, verificationOf } from "../../src/routers/albtargets.ts";

const ingress = (name: string, ...hostnames: readonly string[]) => {
  const object: KubeObject = {
    apiVersion: "networking.k8s.io/v1",
    kind: "Ingress",
    metadata: { name, namespace: "shop" },
    spec: {},
    status: { loadBalancer: { ingress: hostnames.map((hostname) => ({ hostname })) } },
  };
  return readIngress(object).value;
};
const balancer = (...groups: readonly (readonly [string, number?])[]): LoadBalancer => ({
  name: "lb",
  arn: "arn",
  targetGroups: groups.map(([tag, weight]) => ({
    name: "tg",
    arn: "arn:tg",
    resource: tag,
    weights: weight === undefined ? [] : [weight],
  })),
});

test("alb: a target group stands for the Service of its Ingress, namespace and port, and for no other", (t) => {
  const answer = balancer(
    ["shop/edge-web-canary:80", 20],
    ["shop/edge-web-stable:80", 80],
    ["shop/edge-web-canary:8080", 1],
    ["other/edge-web-canary:80", 2],
    ["shop/edge2-web-canary:80", 3],
    ["shop/edge-unweighted:80"],
  );
  t.strictSame(verificationOf([ingress("edge", "a.aws")], 80, new Map([["a.aws", answer]])), {
    kind: "seen",
    balancers: [
      {
        name: "lb",
        weights: [
          { service: "web-canary", weight: 20, targetGroup: "arn:tg" },
          { service: "web-stable", weight: 80, targetGroup: "arn:tg" },
        ],
      },
    ],
  });
  t.end();
});

test("alb: every load balancer of every Ingress has its say; one that says nothing is named", (t) => {
  const both = [ingress("edge", "a.aws", "b.aws"), ingress("inner", "b.aws")];
  t.strictSame(balancerNames(both), ["a.aws", "b.aws"]);
  const answers = new Map<string, LoadBalancer | string | undefined>([["a.aws", balancer()]]);
  t.strictSame(verificationOf(both, 80, answers), {
    kind: "unknown",
    why: "load balancer b.aws has not answered yet",
  });
  answers.set("b.aws", "throttled");
  t.strictSame(verificationOf(both, 80, answers), { kind: "failed", name: "b.aws", why: "throttled" });
  answers.set("b.aws", undefined);
  t.strictSame(verificationOf(both, 80, answers), { kind: "notFound", name: "b.aws" });
  answers.set("b.aws", balancer());
  const verification = verificationOf(both, 80, answers);
  t.equal(verification.kind === "seen" && verification.balancers.length, 3);
  t.strictSame(verificationOf([ingress("new")], 80, answers), {
    kind: "unknown",
    why: "ingress `new` has no load balancer yet",
  });
  t.end();
});
