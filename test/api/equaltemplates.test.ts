// Templates that mean the same, and such that do not.
import { test } from "tap";
import { podTemplateHash, semanticallyEqualTemplates } from "../../src/api/api.ts";

const WRITTEN = {
  metadata: { labels: { app: "web" } },
  spec: {
    containers: [
      {
        name: "web",
        image: "nginx:1.27",
        ports: [{ containerPort: 8080 }],
        env: [{ name: "POD", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
        readinessProbe: { httpGet: { port: 8080 } },
        resources: { limits: { cpu: 1, memory: "1Gi" }, requests: { cpu: "500m" } },
      },
      { name: "side", image: "registry:5000/side" },
    ],
    serviceAccountName: "web",
    volumes: [{ name: "config", configMap: { name: "config" } }, { name: "tmp" }],
  },
};

/** The same as the API server gives it back in a ReplicaSet. */
const DEFAULTED = {
  metadata: { creationTimestamp: null, labels: { app: "web", "rollouts-pod-template-hash": "abc" } },
  spec: {
    containers: [
      {
        name: "web",
        image: "nginx:1.27",
        imagePullPolicy: "IfNotPresent",
        ports: [{ containerPort: 8080, protocol: "TCP" }],
        env: [{ name: "POD", valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } } }],
        readinessProbe: {
          httpGet: { path: "/", port: 8080, scheme: "HTTP" },
          timeoutSeconds: 1,
          periodSeconds: 10,
          successThreshold: 1,
          failureThreshold: 3,
        },
        resources: { limits: { cpu: "1000m", memory: "1024Mi" }, requests: { cpu: "0.5", memory: "1Gi" } },
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
      },
      {
        name: "side",
        image: "registry:5000/side",
        imagePullPolicy: "Always",
        resources: {},
        terminationMessagePath: "/dev/termination-log",
        terminationMessagePolicy: "File",
      },
    ],
    dnsPolicy: "ClusterFirst",
    restartPolicy: "Always",
    schedulerName: "default-scheduler",
    securityContext: {},
    serviceAccount: "web",
    serviceAccountName: "web",
    terminationGracePeriodSeconds: 30,
    volumes: [
      { name: "config", configMap: { name: "config", defaultMode: 420 } },
      { name: "tmp", emptyDir: {} },
    ],
  },
};

test("equaltemplates: defaults and the hash label make no difference", (t) => {
  t.ok(semanticallyEqualTemplates(WRITTEN, DEFAULTED));
  t.not(podTemplateHash(WRITTEN), podTemplateHash(DEFAULTED), "though their hashes differ");
  t.end();
});

test("equaltemplates: what a container would notice does", (t) => {
  const changed = (change: (template: typeof WRITTEN) => void): unknown => {
    const copy = structuredClone(WRITTEN);
    change(copy);
    return copy;
  };
  // The container is widened so that a change may set fields that this literal lacks.
  const first = (template: typeof WRITTEN) => template.spec.containers[0] as Record<string, unknown>;
  const changes: Readonly<Record<string, (template: typeof WRITTEN) => void>> = {
    image: (template) => Object.assign(first(template), { image: "nginx:1.28" }),
    "pull policy": (template) => Object.assign(first(template), { imagePullPolicy: "Always" }),
    label: (template) => Object.assign(template.metadata.labels, { tier: "front" }),
    probe: (template) => Object.assign(first(template), { readinessProbe: { httpGet: { port: 8081 } } }),
    request: (template) => Object.assign(first(template), { resources: { limits: { cpu: 2 } } }),
    "grace period": (template) => Object.assign(template.spec, { terminationGracePeriodSeconds: 5 }),
  };
  for (const [name, change] of Object.entries(changes))
    t.notOk(semanticallyEqualTemplates(WRITTEN, changed(change)), name);
  t.end();
});

test("equaltemplates: fields that no struct has make no difference", (t) => {
  t.ok(semanticallyEqualTemplates(WRITTEN, { ...WRITTEN, note: 1 }));
  t.end();
});

test("equaltemplates: what a pod would have anyway makes no difference", (t) => {
  const spec = (fields: object): unknown => ({
    spec: { containers: [{ name: "web", image: "web:1" }], ...fields },
  });
  const container = (fields: object): unknown => ({
    spec: { containers: [{ name: "web", image: "web:1", ...fields }] },
  });
  const onHost = (port: object): unknown =>
    spec({ hostNetwork: true, containers: [{ name: "web", ports: [port] }] });
  const same: Readonly<Record<string, readonly [unknown, unknown]>> = {
    "service links": [spec({}), spec({ enableServiceLinks: true })],
    "the old name of the service account": [spec({ serviceAccount: "a" }), spec({ serviceAccountName: "a" })],
    "two names, of which one counts": [
      spec({ serviceAccount: "a", serviceAccountName: "b" }),
      spec({ serviceAccountName: "b" }),
    ],
    "a host's port": [onHost({ containerPort: 80 }), onHost({ containerPort: 80, hostPort: 80 })],
    "an optional file": [
      container({
        env: [{ name: "A", valueFrom: { fileKeyRef: { volumeName: "v", path: "p", key: "k" } } }],
      }),
      container({
        env: [
          {
            name: "A",
            valueFrom: { fileKeyRef: { volumeName: "v", path: "p", key: "k", optional: false } },
          },
        ],
      }),
    ],
    "an amount finer than a thousandth": [
      container({ resources: { limits: { cpu: "1200u" } } }),
      container({ resources: { limits: { cpu: "2m" } } }),
    ],
  };
  for (const [name, [a, b]] of Object.entries(same)) t.ok(semanticallyEqualTemplates(a, b), name);
  const other: Readonly<Record<string, readonly [unknown, unknown]>> = {
    "no service links": [spec({}), spec({ enableServiceLinks: false })],
    "another service account": [spec({ serviceAccount: "a" }), spec({ serviceAccountName: "b" })],
    "a port of the host that is not the container's": [
      onHost({ containerPort: 80 }),
      onHost({ containerPort: 80, hostPort: 81 }),
    ],
    "a port of the host where pods have networks of their own": [
      container({ ports: [{ containerPort: 80 }] }),
      container({ ports: [{ containerPort: 80, hostPort: 80 }] }),
    ],
    "another amount": [
      container({ resources: { limits: { cpu: "1m" } } }),
      container({ resources: { limits: { cpu: "1100u" } } }),
    ],
  };
  for (const [name, [a, b]] of Object.entries(other)) t.notOk(semanticallyEqualTemplates(a, b), name);
  t.end();
});
