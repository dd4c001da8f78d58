// Tolerant reads: what decodes is served, what does not is dropped and named, what is unknown stays.
import fc from "fast-check";
import { test } from "tap";
import { formatPath, type KubeObject, readPod, readRollout, readService } from "../../src/api/api.ts";
import { SCHEMAS } from "../../src/api/read.ts";

const META = {
  apiVersion: "argoproj.io/v1alpha1",
  kind: "Rollout",
  metadata: { name: "web", namespace: "default" },
};

function rollout(spec: unknown, status: unknown = {}): KubeObject {
  return { ...META, spec, status };
}

const words = ({ path, message }: { path: readonly (string | number)[]; message: string }): string =>
  `${formatPath(path)} ${message}`;

test("read: an object without fault is given back itself", (t) => {
  const object = rollout({
    replicas: 3,
    strategy: { canary: { steps: [{ setWeight: 20 }, { pause: { duration: "1m" } }] } },
    template: { spec: { containers: [{ name: "a", unknown: { deep: true } }] } },
  });
  const { value, dropped } = readRollout(object);
  t.equal<unknown>(value, object);
  t.strictSame(dropped, []);
  t.end();
});

test("read: a value that does not decode is dropped, the rest serves", (t) => {
  const { value, dropped } = readRollout(
    rollout({
      replicas: "three",
      minReadySeconds: 5,
      paused: "yes",
      restartAt: "tomorrow",
      strategy: {
        canary: { maxSurge: true, steps: [{ setWeight: 20 }, { setWeight: "x" }, "pause", { pause: {} }] },
      },
    }),
  );
  t.strictSame(dropped.map(words), [
    'spec.replicas is "three", expected a 32-bit integer',
    'spec.strategy.canary.steps[1].setWeight is "x", expected a 32-bit integer',
    'spec.strategy.canary.steps[2] is "pause", expected an object',
    "spec.strategy.canary.maxSurge is true, expected an integer or a string",
    'spec.paused is "yes", expected true or false',
    'spec.restartAt is "tomorrow", expected an RFC 3339 time',
  ]);
  t.equal(value.spec.minReadySeconds, 5);
  t.equal(value.spec.replicas, undefined);
  t.strictSame(
    value.spec.strategy?.canary?.steps,
    [{ setWeight: 20 }, {}, {}, { pause: {} }],
    "indexes keep their meaning",
  );
  t.end();
});

test("read: what is missing takes Go's zero value", (t) => {
  const { value, dropped } = readRollout({ ...META });
  t.strictSame(value.spec, {});
  t.strictSame(value.status, {});
  const pod = readPod({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "p" },
    spec: { containers: [{ image: "x" }] },
  });
  t.strictSame(pod.value.spec.containers, [{ image: "x", name: "" }]);
  t.strictSame([...dropped, ...pod.dropped], []);
  t.end();
});

test("read: null counts as absent", (t) => {
  const { value, dropped } = readRollout(rollout({ replicas: null, selector: null }, null));
  t.strictSame(dropped, []);
  t.notOk("replicas" in value.spec);
  t.strictSame(value.status, {});
  t.end();
});

test("read: a status with a foreign word loses that word only", (t) => {
  const { value, dropped } = readRollout(rollout({}, { phase: "Dancing", currentStepIndex: 2 }));
  t.strictSame(dropped.map(words), [
    'status.phase is "Dancing", expected one of Healthy, Degraded, Progressing, Paused',
  ]);
  t.equal(value.status.currentStepIndex, 2);
  t.end();
});

test("read: integers beyond 32 bits are refused where Go has 32", (t) => {
  const { dropped } = readRollout(rollout({ replicas: 3_000_000_000, minReadySeconds: 1.5 }));
  t.strictSame(
    dropped.map(({ path }) => formatPath(path)),
    ["spec.replicas", "spec.minReadySeconds"],
  );
  t.end();
});

test("read: map entries of the wrong type go alone", (t) => {
  const { value, dropped } = readService({
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: "s" },
    spec: { selector: { app: "web", tier: 1 }, ports: [{ port: 80, targetPort: "http" }] },
  });
  t.strictSame(value.spec.selector, { app: "web" });
  t.strictSame(dropped.map(words), ["spec.selector.tier is 1, expected a string"]);
  t.end();
});

test("read: any JSON is read without a throw, never written to, and read again without complaint", (t) => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.jsonValue({ maxDepth: 5 }), (spec, status) => {
      const object = rollout(spec, status);
      const before = JSON.stringify(object);
      const first = readRollout(object);
      if (JSON.stringify(object) !== before) return false;
      // What one read made of it is valid: a second one drops nothing and changes nothing.
      const second = readRollout(first.value);
      return second.dropped.length === 0 && JSON.stringify(second.value) === JSON.stringify(first.value);
    }),
  );
  t.end();
});

test("read: unknown fields survive at every level", (t) => {
  const key = fc.string({ minLength: 1 }).map((text) => `x-${text}`);
  fc.assert(
    fc.property(key, fc.jsonValue(), (name, extra) => {
      const object = rollout(
        {
          [name]: extra,
          strategy: { [name]: extra, canary: { [name]: extra, steps: [{ setWeight: 1, [name]: extra }] } },
        },
        { [name]: extra, replicas: "not a number" },
      );
      const { value } = readRollout(object);
      const { replicas: _dropped, ...status } = object.status as Record<string, unknown>;
      return JSON.stringify(value) === JSON.stringify({ ...object, status });
    }),
  );
  t.end();
});

test("read: the decoder and zod agree on what is valid", (t) => {
  const intOrText = fc.oneof(fc.integer(), fc.string(), fc.boolean(), fc.double());
  const spec = fc.record({
    replicas: intOrText,
    paused: intOrText,
    strategy: fc.record({ canary: fc.record({ maxSurge: intOrText }) }),
  });
  fc.assert(
    fc.property(spec, (generated) => {
      const object = rollout(generated);
      return (readRollout(object).dropped.length === 0) === SCHEMAS.Rollout.safeParse(object).success;
    }),
  );
  t.end();
});
