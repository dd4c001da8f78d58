// Names of fields that no schema knows: which are errors, what is suggested, and that no right name is among them.
import { readFileSync } from "node:fs";
import { V1ServicePort, V1ServiceSpec } from "@kubernetes/client-node";
import { test } from "tap";
import { didYouMean, formatPath, type KubeObject, lint } from "../../src/api/api.ts";
import { faultsOf } from "../../src/cli/apply.ts";
import { parseManifests } from "../../src/cli/manifests.ts";
import { CAPABILITIES } from "../../src/routers/routers.ts";

const API_VERSIONS: Readonly<Record<string, string>> = {
  Service: "v1",
  ReplicaSet: "apps/v1",
  Gateway: "gateway.networking.k8s.io/v1",
  HTTPRoute: "gateway.networking.k8s.io/v1",
  TrafficPolicy: "weir.dev/v1alpha1",
  AnalysisTemplate: "argoproj.io/v1alpha1",
};

const objectOf = (kind: string, spec: object): KubeObject => ({
  apiVersion: API_VERSIONS[kind] ?? "",
  kind,
  metadata: { name: "web" },
  spec,
});

/** What is said of keys: `error spec.x`, with the suggestion if there is one. */
const keysOf = (kind: string, spec: object): readonly string[] =>
  lint(objectOf(kind, spec), CAPABILITIES)
    .filter(({ isKey }) => isKey)
    .map(({ path, meant, isNote }) =>
      `${isNote ? "note" : "error"} ${formatPath(path)} ${meant ?? ""}`.trim(),
    );

test("unknown fields: misspelt ones of Kubernetes' and weir's kinds are errors with the right name", (t) => {
  t.strictSame(keysOf("Service", { selecotr: {}, ports: [{ port: 80, targetProt: 8080 }] }), [
    "error spec.ports[0].targetProt targetPort",
    "error spec.selecotr selector",
  ]);
  t.strictSame(
    keysOf("HTTPRoute", {
      parenteRfs: [],
      hostnmaes: [],
      rules: [{ matchse: [], backendRefs: [{ name: "web", weigth: 1 }] }],
    }),
    [
      "error spec.rules[0].backendRefs[0].weigth weight",
      "error spec.rules[0].matchse matches",
      "error spec.parenteRfs parentRefs",
      "error spec.hostnmaes hostnames",
    ],
  );
  const listeners = [{ name: "http", protcol: "HTTP", port: 80 }];
  t.strictSame(keysOf("Gateway", { gatewayClassName: "weir", listeners }), [
    "error spec.listeners[0].protcol protocol",
  ]);
  const containers = [{ name: "web", image: "web:1", comand: [] }];
  t.strictSame(keysOf("ReplicaSet", { selector: {}, replcas: 1, template: { spec: { containers } } }), [
    "error spec.replcas replicas",
    "error spec.template.spec.containers[0].comand command",
  ]);
  t.strictSame(keysOf("TrafficPolicy", { targetRefs: [], retyr: {} }), ["error spec.retyr retry"]);
  t.end();
});

test("unknown fields: no field of Service, Gateway and HTTPRoute is one, and what is near to none is a note", (t) => {
  const spec = (names: readonly string[]): object => Object.fromEntries(names.map((name) => [name, null]));
  const service = (type: typeof V1ServiceSpec | typeof V1ServicePort): object =>
    spec(type.getAttributeTypeMap().map(({ baseName }) => baseName));
  t.strictSame(keysOf("Service", { ...service(V1ServiceSpec), ports: [service(V1ServicePort)] }), []);
  t.strictSame(keysOf("Gateway", { ...gatewayApi("GatewaySpec"), listeners: [gatewayApi("Listener")] }), []);
  const filter = gatewayApi("HTTPRouteFilter");
  const rule = {
    ...gatewayApi("HTTPRouteRule"),
    filters: [filter],
    matches: [gatewayApi("HTTPRouteMatch")],
    backendRefs: [{ ...gatewayApi("HTTPBackendRef"), filters: [filter] }],
    retry: gatewayApi("HTTPRouteRetry"),
    timeouts: gatewayApi("HTTPRouteTimeouts"),
    sessionPersistence: gatewayApi("SessionPersistence"),
  };
  const route = {
    ...gatewayApi("HTTPRouteSpec"),
    parentRefs: [gatewayApi("ParentReference")],
    rules: [rule],
  };
  t.strictSame(keysOf("HTTPRoute", route), []);
  t.strictSame(keysOf("HTTPRoute", { somethingNew: 1 }), ["note spec.somethingNew"]);
  t.end();
});

/** An object with all fields of a type of the Gateway API. */
function gatewayApi(type: string): object {
  const folder = "../../node_modules/@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1";
  const text = readFileSync(new URL(`${folder}/${type}.d.ts`, import.meta.url), "utf8");
  const names = [...text.matchAll(/^ {4}"(\w+)"\??:/gm)].map(([, name = ""]) => name);
  if (names.length === 0) throw new Error(`no field of ${type} found`);
  return Object.fromEntries(names.map((name) => [name, null]));
}

test("unknown fields: apply refuses a misspelt one at its key, and lets pass what may be newer than weir", (t) => {
  const text = (field: string): string =>
    `apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n  ${field}: 3\n  ports: [{port: 80}]\n`;
  const check = (field: string): readonly string[] => faultsOf(parseManifests("web.yaml", text(field)));
  t.match(check("selecotr"), [/^web\.yaml:5:3: spec\.selecotr: .*did you mean selector\?/]);
  t.strictSame(check("somethingNew"), []);
  t.end();
});

test("unknown fields: keys of a metric are judged even where its values hold arguments", (t) => {
  const provider = { plugin: { "weir.dev/traffic": { metirc: "errorRate", service: "{{args.service}}" } } };
  const spec = { args: [{ name: "service" }], metrics: [{ name: "errors", provider }] };
  t.strictSame(
    lint(objectOf("AnalysisTemplate", spec), CAPABILITIES).map(({ path, message }) => [path.at(-1), message]),
    [["metirc", "metrics[0]: weir.dev/traffic metirc: is not a field that weir knows; did you mean metric?"]],
  );
  t.end();
});

test("unknown fields: the nearest name is suggested, a swap of neighbours counts once, what is there is left out", (t) => {
  t.equal(didYouMean("weigth", ["height", "weight"]), "; did you mean weight?");
  t.equal(didYouMean("port2", ["pods", "ports"]), "; did you mean ports?");
  t.equal(didYouMean("Kind", ["king", "kind"]), "; did you mean kind?");
  t.equal(didYouMean("abc", ["abd"]), "");
  t.strictSame(keysOf("Service", { clusterIP: "10.0.0.1", clusterIPz: [] }), [
    "error spec.clusterIPz clusterIPs",
  ]);
  t.end();
});
