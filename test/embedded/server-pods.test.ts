// Pods and the pod templates of ReplicaSets are held against the rules by which `weir lint` and the controller judge Rollouts: Kubernetes' own.
import { readFileSync } from "node:fs";
import { test } from "tap";
import { validateTemplate } from "../../src/embedded/server/validatepods.ts";
import { type Any, PODS, pod, REPLICA_SETS, replicaSet, startServer } from "./server-support.ts";

interface Vector {
  readonly name: string;
  readonly template: Any;
  readonly errors: readonly string[];
}

const vectors: readonly Vector[] = JSON.parse(
  readFileSync(new URL("../compat/podrules.vectors.json", import.meta.url), "utf8"),
);

test("server pods: a ReplicaSet's template has the errors that Kubernetes finds, in its words", async (t) => {
  const { api } = await startServer(t);
  for (const [index, { name, template, errors }] of vectors.entries()) {
    const set = replicaSet(`rs-${index}`, {}, { selector: { matchLabels: { app: "web" } }, template });
    const { status, body } = await api.post(REPLICA_SETS, set);
    const found: readonly Any[] = status === 422 ? body.details.causes : [];
    t.equal(status, errors.length === 0 ? 201 : 422, name);
    t.strictSame(
      found.map(({ field, message }) => `${field}: ${message}`).toSorted(),
      errors.toSorted(),
      name,
    );
  }
});

test("server pods: a pod is held to the same rules, but for those of ReplicaSets", async (t) => {
  const { api } = await startServer(t);
  const main = { name: "main", image: "app:1" };
  const refused = async (spec: Any): Promise<readonly string[]> => {
    const { status, body } = await api.post(PODS, pod("p", {}, spec));
    return status === 422
      ? body.details.causes.map((cause: Any) => `${cause.field} ${cause.reason}`)
      : [`status ${status}`];
  };
  t.strictSame(await refused({ containers: [{ ...main, env: [{ name: "1=", value: "" }] }] }), [
    "spec.containers[0].env[0].name FieldValueInvalid",
  ]);
  t.strictSame(await refused({ containers: [{ ...main, volumeMounts: [{ name: "v", mountPath: "/v" }] }] }), [
    "spec.containers[0].volumeMounts[0].name FieldValueNotFound",
  ]);
  t.strictSame(await refused({ containers: [main], restartPolicy: "Sometimes" }), [
    "spec.restartPolicy FieldValueNotSupported",
  ]);
  t.strictSame(await refused({ containers: [main], activeDeadlineSeconds: 0 }), [
    "spec.activeDeadlineSeconds FieldValueInvalid",
  ]);
  t.strictSame(await refused({ containers: [main], restartPolicy: "Never", activeDeadlineSeconds: 5 }), [
    "status 201",
  ]);
});

test("server pods: a template that is stored already is no reason to refuse a change of something else", (t) => {
  const bad = {
    metadata: { labels: { app: "web" } },
    spec: { containers: [{ name: "Bad", image: "app:1" }] },
  };
  const stored = replicaSet("rs", {}, { selector: { matchLabels: { app: "web" } }, template: bad });
  t.equal(validateTemplate(stored, undefined).length, 1);
  t.strictSame(validateTemplate({ ...stored, metadata: { name: "rs", labels: { a: "b" } } }, stored), []);
  t.end();
});
