// What load balancers say, in events and waits: weights of every Service that has a share, pods of the version that took over, and why nothing can
// be said.
import { test } from "tap";
import type { Registration } from "../../src/api/api.ts";
import { decide, type Plan } from "../../src/engine/decide.ts";
import type { LoadBalancer } from "../../src/routers/routers.ts";
import { balancerOf, ingressManifest } from "../../src/simulate/routing.ts";
import { imagePatch, worldWith } from "../support/world.ts";

const arn = (service: string): string => `arn:aws:elasticloadbalancing:eu-1:1:targetgroup/${service}/1`;

test("verdicts: of every rule that differs from the weight, and of none that waits for nothing", (t) => {
  const { world, dnsName, said } = inFlight(50);
  const answer = (...weights: readonly number[]): LoadBalancer => ({
    ...said,
    targetGroups: said.targetGroups.map((group) => ({ ...group, weights })),
  });
  world.balancers = new Map([[dnsName, answer(50)]]);
  t.strictSame(told(world.plan()), [
    [
      "Normal",
      "TargetGroupVerified",
      `Service web-canary (TargetGroup ${arn("web-canary")}) verified: canary weight 50 set`,
    ],
  ]);
  world.balancers = new Map([[dnsName, answer(50, 20)]]);
  t.strictSame(told(world.plan()), [
    [
      "Warning",
      "TargetGroupUnverified",
      `Service web-canary (TargetGroup ${arn("web-canary")}) not verified: canary weight 50 not yet set (current: 20)`,
    ],
  ]);
  t.match(waits(world.plan()), [
    "alb: Service web-canary (shop) not verified: canary weight 50 not yet set (current: 20)",
  ]);
  world.balancers = new Map([[dnsName, answer()]]);
  t.strictSame(told(world.plan()), [], "no target group to tell of");
  t.match(waits(world.plan()), [/canary weight 50 not yet set \(no target group\)/]);
  t.end();
});

test("verdicts: a load balancer that is not there, cannot be asked, or has not answered", (t) => {
  const { world, dnsName } = inFlight(50);
  world.balancers = new Map([[dnsName, undefined]]);
  t.strictSame(told(world.plan()), [
    ["Warning", "LoadBalancerNotFound", "Failed to find load balancer: shop.elb.example.com"],
  ]);
  t.match(waits(world.plan()), ["alb: there is no load balancer shop.elb.example.com"]);
  world.balancers = new Map([[dnsName, "throttled"]]);
  t.strictSame(told(world.plan()), [
    [
      "Warning",
      "TargetGroupVerifyError",
      "Failed to verify Service web-canary (TargetGroup unknown): throttled",
    ],
    ["Warning", "WeightVerifyError", "Failed to verify weight: throttled"],
  ]);
  t.match(waits(world.plan()), ["alb: load balancer shop.elb.example.com: throttled"]);
  world.balancers = new Map();
  t.strictSame(told(world.plan()), []);
  t.match(waits(world.plan()), ["alb: load balancer shop.elb.example.com has not answered yet"]);
  t.end();
});

test("verdicts: none of a weight of 0, of an Ingress that does not hold the weight, of an aborted or a promoted version", (t) => {
  const zero = inFlight(0);
  zero.world.balancers = new Map([[zero.dnsName, zero.said]]);
  t.strictSame(told(zero.world.plan()), []);

  const { world, dnsName } = inFlight(50);
  world.balancers = new Map([[dnsName, undefined]]);
  const ingress = world.ingresses.get("shop");
  if (ingress === undefined) throw new Error("no Ingress");
  const annotations = {
    ...ingress.metadata.annotations,
    "alb.ingress.kubernetes.io/actions.web-stable": "{}",
  };
  world.add("ingresses", { ...ingress, metadata: { ...ingress.metadata, annotations } });
  t.strictSame(told(world.plan()), [], "it is about to be put right");
  world.settle();
  t.equal(told(world.plan()).length, 1);
  world.patchStatus({ abort: true });
  t.equal(world.plan().verdicts, undefined);
  world.balancers = undefined;
  world.patchStatus({ abort: null, promoteFull: true });
  world.settle();
  t.equal(world.plan().verdicts, undefined);
  t.end();
});

test("verdicts: of pods, while a switched version is not the stable one", (t) => {
  const world = worldWith({ replicas: 2, blueGreen: {} });
  world.registered = new Map([["web-active", 0]]);
  world.settle();
  t.equal(world.plan().verdicts, undefined);
  world.editSpec(imagePatch("web:2"));
  world.settle();
  const group = "arn:aws:elasticloadbalancing:eu-1:1:targetgroup/k8s-web/1";
  const planWith = (...states: readonly Registration["state"][]): Plan => {
    const snapshot = world.snapshot();
    const registrations = states.map((state) => ({ service: "web-active", targetGroup: group, state }));
    return decide({ ...snapshot, traffic: { ...snapshot.traffic, registrations } }, world.nowMs);
  };
  const lacking = planWith({ kind: "seen", registered: 1, total: 2 });
  const words = `Service web-active (TargetGroup ${group}) not verified: 1/2 endpoints registered`;
  t.strictSame(told(lacking), [["Warning", "TargetGroupUnverified", words]]);
  t.match(waits(lacking), [words]);
  t.equal(lacking.status.message, "waiting for post-promotion verification to complete");
  const failed = planWith({ kind: "seen", registered: 2, total: 2 }, { kind: "failed", why: "throttled" });
  t.strictSame(told(failed), [
    [
      "Normal",
      "TargetGroupVerified",
      `Service web-active (TargetGroup ${group}) verified: 2 endpoints registered`,
    ],
    [
      "Warning",
      "TargetGroupVerifyError",
      `Failed to verify Service web-active (TargetGroup ${group}): throttled`,
    ],
  ]);
  t.match(
    waits(failed),
    [`Failed to verify Service web-active (TargetGroup ${group}): throttled`],
    "every group counts",
  );
  const unknown = planWith({ kind: "unknown" });
  t.strictSame(told(unknown), []);
  t.match(waits(unknown), [/its load balancer has not answered yet/]);
  const done = planWith({ kind: "seen", registered: 2, total: 2 });
  t.equal(done.status.stableRS, done.status.currentPodHash);
  t.end();
});

/** An update at a step of this weight, with a load balancer that has not set it. */
function inFlight(weight: number) {
  const canary = { trafficRouting: { alb: { ingress: "shop", servicePort: 80 } } };
  const steps = [{ setWeight: weight }, { pause: {} }];
  const world = worldWith({ replicas: 2, isRouted: true, steps, canary });
  const made = balancerOf(ingressManifest("shop", "web-stable"), ["web-canary=0"]);
  world.add("ingresses", made.ingress);
  world.settle();
  world.balancers = new Map([[made.dnsName, made.balancer]]);
  world.editSpec(imagePatch("web:2"));
  world.settle();
  return { world, dnsName: made.dnsName, said: made.balancer };
}

function told({ verdicts = [] }: Plan): readonly (readonly string[])[] {
  return verdicts.map(({ type, reason, message }) => [type, reason, message]);
}

function waits({ explanation }: Plan): readonly string[] {
  return explanation.waits.map(({ text }) => text);
}
