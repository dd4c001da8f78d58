// Which pods of a version should be in which target group, and how many of them are.
import { test } from "tap";
import {
  type EndpointSlice,
  type KubeObject,
  readEndpointSlice,
  readService,
  readTargetGroupBinding,
  type TargetGroupBinding,
} from "../../src/api/api.ts";
import { podBindings, registrationsOf, type Target } from "../../src/routers/registrations.ts";

const ARN = "arn:aws:elasticloadbalancing:eu-1:1:targetgroup/k8s-web/1";

const SERVICE = readService({
  apiVersion: "v1",
  kind: "Service",
  metadata: { name: "web", namespace: "shop" },
  spec: { ports: [{ name: "http", port: 80, targetPort: "web" }] },
}).value;

test("registrations: pods of the wanted version count, ready ones, with the port that their endpoints give them", (t) => {
  const slices = [
    slice([
      ["web-2-a", "10.0.0.1"],
      ["web-1-a", "10.0.0.9"],
      ["web-2-b", "10.0.0.2", false],
    ]),
  ];
  const answer = [at("10.0.0.1", 8080), at("10.0.0.2", 8080), at("10.0.0.9", 8080)];
  t.strictSame(states({ slices, available: 1 }, [binding()], answer), [
    { kind: "seen", registered: 1, total: 1 },
  ]);
  t.strictSame(
    states({ slices, available: 1 }, [binding()], [at("10.0.0.1", 80)]),
    [{ kind: "seen", registered: 0, total: 1 }],
    "another port is another target",
  );
  t.end();
});

test("registrations: pods that the endpoints do not show yet count as unregistered", (t) => {
  const ofOldVersion = [slice([["web-1-a", "10.0.0.9"]])];
  t.strictSame(states({ slices: ofOldVersion, available: 3 }, [binding()], [at("10.0.0.9", 8080)]), [
    { kind: "seen", registered: 0, total: 3 },
  ]);
  t.strictSame(
    states({ slices: [], available: 0 }, [binding()], []),
    [{ kind: "seen", registered: 0, total: 0 }],
    "no pods, nothing to register",
  );
  t.end();
});

test("registrations: no answer is no registration", (t) => {
  const slices = [slice([["web-2-a", "10.0.0.1"]])];
  const pods = { service: SERVICE, slices, names: new Set(["web-2-a"]), available: 1 };
  const state = (answers: ReadonlyMap<string, readonly Target[] | string>) =>
    registrationsOf(pods, [binding()], answers);
  t.strictSame(state(new Map()), [{ service: "web", targetGroup: ARN, state: { kind: "unknown" } }]);
  t.strictSame(state(new Map([[ARN, "throttled"]])), [
    { service: "web", targetGroup: ARN, state: { kind: "failed", why: "throttled" } },
  ]);
  t.end();
});

test("registrations: a binding counts for the Service and port that it names, if its targets are pods", (t) => {
  const all = [
    binding(),
    binding({ serviceRef: { name: "web", port: "http" } }),
    binding({ serviceRef: { name: "web", port: 81 } }),
    binding({ serviceRef: { name: "other", port: 80 } }),
    binding({ targetType: "instance" }),
    binding({ targetType: undefined }),
  ];
  t.strictSame(podBindings(SERVICE, all), all.slice(0, 2));
  t.end();
});

test("registrations: a target group of one address family holds the addresses of that family", (t) => {
  const slices = [slice([["web-2-a", "10.0.0.1"]]), slice([["web-2-a", "fd00::1"]], "IPv6")];
  const answer = [at("fd00::1", 8080)];
  t.match(states({ slices, available: 1 }, [binding()], answer), [{ registered: 0 }]);
  t.match(states({ slices, available: 1 }, [binding({ ipAddressType: "ipv6" })], answer), [
    { registered: 1, total: 1 },
  ]);
  t.end();
});

function states(
  { slices, available }: { readonly slices: readonly EndpointSlice[]; readonly available: number },
  bindings: readonly TargetGroupBinding[],
  answer: readonly Target[],
) {
  const pods = { service: SERVICE, slices, names: new Set(["web-2-a", "web-2-b"]), available };
  return registrationsOf(pods, bindings, new Map([[ARN, answer]])).map(({ state }) => state);
}

function at(ip: string, port: number): Target {
  return { ip, port };
}

function binding(spec: Readonly<Record<string, unknown>> = {}): TargetGroupBinding {
  const whole = { targetGroupARN: ARN, targetType: "ip", serviceRef: { name: "web", port: 80 }, ...spec };
  const object: KubeObject = {
    apiVersion: "elbv2.k8s.aws/v1beta1",
    kind: "TargetGroupBinding",
    metadata: { name: "k8s-web", namespace: "shop" },
    spec: whole,
  };
  return readTargetGroupBinding(object).value;
}

function slice(
  pods: readonly (readonly [name: string, ip: string, isReady?: boolean])[],
  addressType = "IPv4",
): EndpointSlice {
  const object: KubeObject = {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "web-1", namespace: "shop" },
    addressType,
    ports: [{ name: "http", port: 8080 }],
    endpoints: pods.map(([name, ip, ready]) => ({
      addresses: [ip],
      conditions: { ready },
      targetRef: { kind: "Pod", name },
    })),
  };
  return readEndpointSlice(object).value;
}
