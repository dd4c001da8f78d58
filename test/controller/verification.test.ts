// What load balancers are asked about a Rollout at which moment, and what becomes of the answers; what was told is not told again.
import { test } from "tap";
import {
  CLUSTER_RESOURCES,
  POD_HASH_LABEL,
  readEndpointSlice,
  readTargetGroupBinding,
} from "../../src/api/api.ts";
import type { Answers, Questions } from "../../src/controller/balancers.ts";
import type { Caches } from "../../src/controller/caches.ts";
import { createVerdictBook, hear, unheardBindings } from "../../src/controller/verification.ts";
import type { Plan, PlannedEvent } from "../../src/engine/decide.ts";
import { balancerOf, ingressManifest } from "../../src/simulate/routing.ts";
import { imagePatch, type World, worldWith } from "../support/world.ts";

const ARN = "arn:aws:elasticloadbalancing:eu-1:1:targetgroup/k8s-web/1";
const NONE: Answers = { balancers: new Map(), targets: new Map() };

test("verification: target groups are asked about after the switch, until the version is the stable one", (t) => {
  const world = worldWith({ replicas: 1, blueGreen: {} });
  world.registered = new Map([["web-active", 0]]);
  world.settle();
  t.strictSame(asked(world).groups, [], "a version that is stable");
  world.editSpec(imagePatch("web:2"));
  world.settle();
  const questions = asked(world);
  t.strictSame(questions.groups, [ARN], "switched, and not promoted");
  t.match(questions.holds, /10\.1\.0\.1 8080/, "new endpoints are a new question");
  t.strictSame(heard(world, NONE).registrations, [
    { service: "web-active", targetGroup: ARN, state: { kind: "unknown" } },
  ]);
  const targets = new Map([[ARN, [{ ip: "10.1.0.1", port: 8080 }]]]);
  t.match(heard(world, { ...NONE, targets }).registrations, [{ state: { registered: 1, total: 1 } }]);
  world.registered = new Map([["web-active", 1]]);
  world.settle();
  t.strictSame(asked(world).groups, []);
  t.end();
});

test("verification: who cannot ask says so while the pods of the version that took over are in question", (t) => {
  const world = worldWith({ replicas: 1, blueGreen: {} });
  world.registered = new Map([["web-active", 0]]);
  world.settle();
  const lines = (options: Options = {}) => unheardBindings(cachesOf(world, options), world.snapshot());
  t.strictSame(lines(), []);
  world.editSpec(imagePatch("web:2"));
  world.settle();
  t.strictSame(lines(), [
    "not known here: whether AWS has registered the pods of Service web-active (TargetGroupBinding k8s-web): events tell what the controller heard",
  ]);
  t.strictSame(lines({ hasBinding: false }), []);
  world.registered = new Map([["web-active", 1]]);
  world.settle();
  t.strictSame(lines(), []);
  t.end();
});

test("verification: without a binding there is nothing to know", (t) => {
  const world = worldWith({ replicas: 1, blueGreen: {} });
  world.settle();
  t.equal(heard(world, NONE, { hasBinding: false }).registrations, undefined);
  t.end();
});

test("verification: weights are asked about in an update, and until the status names the load balancer", (t) => {
  const canary = { trafficRouting: { alb: { ingress: "shop", servicePort: 80 } } };
  const world = worldWith({ replicas: 1, isRouted: true, steps: [{ setWeight: 20 }, { pause: {} }], canary });
  const { ingress, balancer, dnsName } = balancerOf(ingressManifest("shop", "web-stable"), [
    "web-canary=0",
    "web-stable=100",
  ]);
  world.add("ingresses", ingress);
  world.settle();
  t.strictSame(asked(world).names, [dnsName]);
  world.balancers = new Map([[dnsName, balancer]]);
  world.settle();
  t.strictSame(asked(world).names, [], "known, and nothing in flight");
  world.editSpec(imagePatch("web:2"));
  world.settle();
  const { names, holds } = asked(world);
  t.strictSame(names, [dnsName]);
  t.match(holds, /"weight":20/, "a weight that is written is a new question");
  t.end();
});

test("verification: a verdict is told once, again after another, and anew in the next update", (t) => {
  const book = createVerdictBook();
  const verdict = (message: string): PlannedEvent => ({
    type: "Normal",
    reason: "TargetGroupVerified",
    message,
  });
  const take = (verdicts?: readonly PlannedEvent[]) =>
    // Only the verdicts are read.
    book.take("shop/web", { verdicts } as Plan).map(({ message }) => message);
  t.strictSame(take([verdict("20")]), ["20"]);
  t.strictSame(take([verdict("20")]), []);
  t.strictSame(take([]), [], "asked anew, no answer yet");
  t.strictSame(take([verdict("20")]), [], "the same again is no news");
  t.strictSame(take([verdict("20"), verdict("40")]), ["40"]);
  t.strictSame(take(), [], "promoted");
  t.strictSame(take([verdict("20")]), ["20"]);
  book.forget("shop/web");
  t.strictSame(take([verdict("20")]), ["20"]);
  t.end();
});

interface Options {
  readonly hasBinding?: boolean;
}

function heard(world: World, answers: Answers, options: Options = {}) {
  return hear(
    { caches: cachesOf(world, options), balancers: { answers: () => answers } },
    "k",
    world.snapshot(),
  );
}

function asked(world: World): Questions {
  let questions: Questions = { names: [], groups: [], holds: "" };
  const answers = (_: string, next: Questions): Answers => {
    questions = next;
    return NONE;
  };
  hear({ caches: cachesOf(world, {}), balancers: { answers } }, "k", world.snapshot());
  return questions;
}

/** The wanted version's pods behind `web-active`, and the binding of that Service. */
function cachesOf(world: World, { hasBinding = true }: Options): Caches {
  const hash = world.status().currentPodHash;
  const pods = [...world.pods.values()].filter(({ metadata }) => metadata.labels?.[POD_HASH_LABEL] === hash);
  const slice = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "web-active-1", namespace: "default" },
    addressType: "IPv4",
    ports: [{ port: 8080 }],
    endpoints: pods.map(({ metadata }, index) => ({
      addresses: [`10.1.0.${index + 1}`],
      targetRef: { kind: "Pod", name: metadata.name },
    })),
  };
  const binding = {
    apiVersion: "elbv2.k8s.aws/v1beta1",
    kind: "TargetGroupBinding",
    metadata: { name: "k8s-web", namespace: "default" },
    spec: { targetGroupARN: ARN, targetType: "ip", serviceRef: { name: "web-active", port: 80 } },
  };
  const caches = {
    routed: [
      {
        type: CLUSTER_RESOURCES.ingress,
        get: (_: string, name: string) => world.ingresses.get(name),
      },
    ],
    targetGroupBindings: { list: () => (hasBinding ? [readTargetGroupBinding(binding).value] : []) },
    endpointSlices: {
      store: { byLabel: () => [slice] },
      read: (object: typeof slice) => readEndpointSlice(object).value,
    },
  };
  // No other cache is read.
  return caches as unknown as Caches;
}
