// The values that Kubernetes fills in when an object of a built-in kind is written, as far as clients rely on them. Pure.
// Source: k8s.io/kubernetes pkg/apis/*/v1/defaults.go. Custom kinds have no defaults, as with Argo's CRDs.
import { isObject } from "../../lib/json.ts";
import { fieldAt, type Json, listAt, objectAt, stringAt, withFields } from "./fields.ts";

/** `object` with the defaults of its kind (`id` is Kind.id); fields that are set stay. */
export function withDefaults(id: string, object: Json): Json {
  switch (id) {
    case "pods":
      return withFields(object, { spec: podSpec(objectAt(object, "spec")) });
    case "apps/replicasets":
      return withFields(object, { spec: replicaSetSpec(objectAt(object, "spec")) });
    case "services":
      return withFields(object, { spec: serviceSpec(objectAt(object, "spec")) });
    case "secrets":
      return secret(object);
    case "namespaces":
      return namespace(object);
    case "discovery.k8s.io/endpointslices":
      return endpointSlice(object);
    default:
      return object;
  }
}

/** The status that a new object starts with; undefined where the kind has none of its own. */
export function initialStatus(id: string): Json | undefined {
  if (id === "pods") return { phase: "Pending" };
  if (id === "apps/replicasets") return { replicas: 0 };
  if (id === "services") return { loadBalancer: {} };
  if (id === "namespaces") return { phase: "Active" };
  return undefined;
}

function podSpec(spec: Json): Json {
  return {
    restartPolicy: "Always",
    terminationGracePeriodSeconds: 30,
    dnsPolicy: "ClusterFirst",
    schedulerName: "default-scheduler",
    securityContext: {},
    ...spec,
    ...(Array.isArray(spec.containers) ? { containers: spec.containers.map(container) } : {}),
    ...(Array.isArray(spec.initContainers) ? { initContainers: spec.initContainers.map(container) } : {}),
  };
}

function container(value: unknown): unknown {
  if (!isObject(value)) return value;
  const image = typeof value.image === "string" ? value.image : "";
  const isLatest = image.endsWith(":latest") || !/[:@][^/]*$/.test(image);
  const result: Record<string, unknown> = {
    resources: {},
    terminationMessagePath: "/dev/termination-log",
    terminationMessagePolicy: "File",
    imagePullPolicy: isLatest ? "Always" : "IfNotPresent",
    ...value,
  };
  if (Array.isArray(value.ports))
    result.ports = value.ports.map((port) => withDefault(port, { protocol: "TCP" }));
  for (const name of ["livenessProbe", "readinessProbe", "startupProbe"])
    if (isObject(value[name])) result[name] = probe(value[name]);
  return result;
}

function probe(value: Json): Json {
  const http = isObject(value.httpGet) ? { httpGet: { path: "/", scheme: "HTTP", ...value.httpGet } } : {};
  return {
    timeoutSeconds: 1,
    periodSeconds: 10,
    successThreshold: 1,
    failureThreshold: 3,
    ...value,
    ...http,
  };
}

function replicaSetSpec(spec: Json): Json {
  const template = isObject(spec.template)
    ? { template: withFields(spec.template, { spec: podSpec(objectAt(spec.template, "spec")) }) }
    : {};
  return { replicas: 1, ...spec, ...template };
}

function serviceSpec(spec: Json): Json {
  const ports = listAt(spec, "ports").map((port) =>
    isObject(port) ? { protocol: "TCP", targetPort: port.port, ...port } : port,
  );
  return {
    type: "ClusterIP",
    sessionAffinity: "None",
    ...spec,
    ...(spec.ports === undefined ? {} : { ports }),
  };
}

function secret(object: Json): Json {
  const plain = objectAt(object, "stringData");
  const encoded = Object.entries(plain).map(([key, value]) => [
    key,
    Buffer.from(String(value)).toString("base64"),
  ]);
  const data = { ...objectAt(object, "data"), ...Object.fromEntries(encoded) };
  const hasData = Object.keys(data).length > 0 || isObject(object.data);
  return withFields({ type: "Opaque", ...object }, { stringData: undefined, ...(hasData ? { data } : {}) });
}

function namespace(object: Json): Json {
  const labels = {
    ...objectAt(object, "metadata.labels"),
    "kubernetes.io/metadata.name": stringAt(object, "metadata.name"),
  };
  const metadata = withFields(objectAt(object, "metadata"), { labels });
  return withFields(object, { metadata, spec: { finalizers: ["kubernetes"], ...objectAt(object, "spec") } });
}

function endpointSlice(object: Json): Json {
  const ports = listAt(object, "ports").map((port) => withDefault(port, { name: "", protocol: "TCP" }));
  return withFields(object, fieldAt(object, "ports") === undefined ? {} : { ports });
}

function withDefault(value: unknown, defaults: Json): unknown {
  return isObject(value) ? { ...defaults, ...value } : value;
}
