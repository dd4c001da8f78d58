// Whatever the schemas accept, a translation comes to an end, and the proxies take what comes of it: what cannot be carried out is reported by its
// own field, and costs no other rule, Service or Gateway its configuration.
import fc from "fast-check";
import { test } from "tap";
import type { z } from "zod";
import { gatewaySchema, httpRouteSchema } from "../../src/api/gatewayschema.ts";
import { endpointSliceSchema, serviceSchema } from "../../src/api/kubeschema.ts";
import { trafficPolicySchema } from "../../src/api/policyschema.ts";
import {
  compileCluster,
  compileEndpoints,
  compileListener,
  compileRoutes,
} from "../../src/proxy/compile/compile.ts";
import { type TranslateInput, translateGateway } from "../../src/translate/translate.ts";
import {
  ClusterLoadAssignmentSchema,
  ClusterSchema,
  fromBinary,
  ListenerSchema,
  RouteConfigurationSchema,
  toBinary,
} from "../../src/xds/types.ts";
import { gateway, httpRoute, input, service, slice } from "./support.ts";

const RUNS = Number(process.env.WEIR_PROPERTY_RUNS ?? 1500);
const INTEGERS = [-(2 ** 31), -1, 0, 1, 2, 3, 8, 99, 101, 404, 503, 1_025, 65_535, 65_536, 2 ** 31 - 1];
const FRACTIONS = [-0.5, 0.001, 0.5, 33.3, 1e9];
const DURATIONS = ["10s", "0s", "-1s", "1ms", "0.4ms", "1us", "5", "99999999h", ""];
const TEXTS = [
  "",
  "x",
  "a b",
  "x\r\ny: z",
  "é\u{1f600}",
  "\ud800",
  "%",
  "%REQ(x)%",
  "*",
  "/",
  "x-a",
  "Host",
  ":scheme",
  "a".repeat(5_000),
];
const PATHS = [
  "",
  "/",
  "/a",
  "/a/",
  "/a//b",
  "/a/..",
  "/%zz",
  "/é",
  "/a?b#c",
  "a",
  "(/a|/b)",
  "/(",
  `/${"a".repeat(9_000)}`,
];
/** What a field by that name may say, besides nonsense. */
const HINTS: Readonly<Record<string, readonly string[]>> = {
  policy: ["RoundRobin", "LeastRequest", "RingHash"],
  forwardedFor: ["append", "overwrite", "keep"],
  underscores: ["allow", "reject", "drop"],
  escapedSlashes: ["keep", "reject", "unescape"],
  stripHostPort: ["none", "matching", "any"],
  requestId: ["make", "keep", "off"],
  traceContext: ["forward", "make"],
  lifetimeType: ["Session", "Permanent"],
  method: ["GET", "HEAD", "get it"],
  scheme: ["http", "https", "ftp"],
  protocol: ["HTTP", "HTTP", "HTTPS"],
  from: ["Same", "All"],
  addressType: ["IPv4", "IPv6", "FQDN"],
  on: ["5xx", "reset", "gateway-error", "connect-failure", "retriable-4xx"],
  regex: ["[a-z]+", "(", "a{2000}", "(?i)x"],
  hostname: ["a.test", "*.test", "*", "A.Test", "a:80", "a b", "[::1]", "*.*"],
  hostnames: ["a.test", "*.test", "*", "A.Test", "a:80", "a b", "[::1]", "a*", "*.*"],
  path: PATHS,
  replaceFullPath: PATHS,
  replacePrefixMatch: PATHS,
  addresses: ["10.0.0.1", "::1", "pod.test", "1.2.3", ""],
};
/** Values of `type` by what it is the type of. */
const TYPES: readonly string[] = [
  "Exact",
  "PathPrefix",
  "RegularExpression",
  "ReplaceFullPath",
  "ReplacePrefixMatch",
  "RequestMirror",
  "RequestHeaderModifier",
  "ResponseHeaderModifier",
  "URLRewrite",
  "RequestRedirect",
  "Cookie",
  "Header",
  "IPAddress",
  "Hostname",
];
const DURATION_FIELDS =
  /(?:timeout|idle|perTry|base|max|window|interval|Time|ttl|Duration|backoff|request)$/i;

/** Any value that a schema accepts, `key` being the field that holds it. */
function anyOf(schema: z.ZodType, key: string): fc.Arbitrary<unknown> {
  // The part of zod's own description that is looked at here; other kinds throw below.
  const def = schema.def as {
    readonly type: string;
    readonly shape?: Readonly<Record<string, z.ZodType>>;
    readonly innerType?: z.ZodType;
    readonly element?: z.ZodType;
    readonly options?: readonly z.ZodType[];
  };
  switch (def.type) {
    case "object": {
      const fields = Object.entries(def.shape ?? {});
      const required = fields.filter(([, one]) => !one.safeParse(undefined).success).map(([name]) => name);
      return fc.record(Object.fromEntries(fields.map(([name, one]) => [name, anyOf(one, name)])), {
        requiredKeys: required,
      });
    }
    case "optional":
      return anyOf(def.innerType ?? schema, key);
    case "array":
      return fc.array(anyOf(def.element ?? schema, key), { maxLength: 3 });
    case "union":
      return fc.oneof(...(def.options ?? []).map((one) => anyOf(one, key)));
    case "boolean":
      return fc.boolean();
    case "number":
      return fc.constantFrom(...[...INTEGERS, ...FRACTIONS].filter((one) => schema.safeParse(one).success));
    case "string":
      return textOf(key).filter((one) => schema.safeParse(one).success);
    case "record":
      return fc.constantFrom({}, { a: "x" }, { a: { b: ["%REQ(x)%", 1, null] } });
    default:
      throw new Error(`a schema of type ${def.type}, which this test cannot make values of`);
  }
}

function textOf(key: string): fc.Arbitrary<string> {
  const hints = key === "type" ? TYPES : (HINTS[key] ?? (DURATION_FIELDS.test(key) ? DURATIONS : []));
  const nonsense = fc.constantFrom(...TEXTS, ...PATHS);
  return hints.length === 0
    ? nonsense
    : fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...hints) }, { weight: 1, arbitrary: nonsense });
}

/** The schema of a field of an object's schema. */
function fieldOf(schema: z.ZodType, ...path: readonly string[]): z.ZodType {
  let found = schema;
  for (const name of path) {
    const def = found.def as {
      readonly shape?: Readonly<Record<string, z.ZodType>>;
      readonly innerType?: z.ZodType;
    };
    const next = (def.shape ?? (def.innerType?.def as typeof def | undefined)?.shape)?.[name];
    if (next === undefined) throw new Error(`no field ${name}`);
    found = next;
  }
  return found;
}

/** Translates, and lets a proxy read what comes of it as it arrives over the wire. */
function take(changes: Partial<TranslateInput>): void {
  const { snapshot } = translateGateway(input(changes));
  for (const one of snapshot.listeners)
    compileListener(fromBinary(ListenerSchema, toBinary(ListenerSchema, one)));
  for (const one of snapshot.routes)
    compileRoutes(
      fromBinary(RouteConfigurationSchema, toBinary(RouteConfigurationSchema, one)),
      "1",
      () => 0,
    );
  for (const one of snapshot.clusters)
    compileCluster(fromBinary(ClusterSchema, toBinary(ClusterSchema, one)));
  for (const one of snapshot.endpoints)
    compileEndpoints(fromBinary(ClusterLoadAssignmentSchema, toBinary(ClusterLoadAssignmentSchema, one)));
}

const PLAIN = httpRoute({ hostnames: ["shop.test"], rules: [{ backendRefs: [{ name: "web", port: 80 }] }] });

test("taken: whatever a TrafficPolicy says, the proxies take the rest", (t) => {
  const { targetRefs: _, ...sections } = (
    fieldOf(trafficPolicySchema, "spec").def as unknown as {
      readonly shape: Readonly<Record<string, z.ZodType>>;
    }
  ).shape;
  for (const [section, schema] of Object.entries(sections))
    fc.assert(
      fc.property(anyOf(schema, section), (value) => {
        const policies = ["Gateway", "HTTPRoute", "Service"].map((kind) => ({
          apiVersion: "weir.dev/v1alpha1",
          kind: "TrafficPolicy",
          metadata: { name: kind.toLowerCase(), namespace: "shop" },
          spec: { targetRefs: [{ kind, name: kind === "Gateway" ? "edge" : "web" }], [section]: value },
        }));
        const rules = [
          {
            filters: [{ type: "RequestMirror", requestMirror: { backendRef: { name: "web", port: 80 } } }],
            backendRefs: [{ name: "web", port: 80 }],
          },
        ];
        take({ httpRoutes: [httpRoute({ rules })], slices: () => [slice(80, ["a"])], policies });
      }),
      { seed: 11, numRuns: Math.ceil(RUNS / 5) },
    );
  t.end();
});

test("taken: whatever a rule of an HTTPRoute says, the proxies take the rest", (t) => {
  const rule = fieldOf(httpRouteSchema, "spec", "rules").def as unknown as { readonly innerType: z.ZodType };
  const { element } = rule.innerType.def as unknown as { readonly element: z.ZodType };
  fc.assert(
    fc.property(anyOf(element, "rule"), (made) => {
      const { backendRefs = [], ...rest } = made as { readonly backendRefs?: readonly object[] };
      // Backends that are there, so that what else the rule says matters.
      const named = backendRefs.map((one) => ({
        name: "web",
        port: 80,
        ...one,
        ...(Object.keys(one).length < 6 && { name: "web", port: 80 }),
      }));
      const rules = [{ ...rest, backendRefs: named.length === 0 ? [{ name: "web", port: 80 }] : named }];
      // What the schema accepts is what the type says.
      take({ httpRoutes: [httpRoute({ rules } as Parameters<typeof httpRoute>[0]), PLAIN] });
    }),
    { seed: 12, numRuns: RUNS },
  );
  t.end();
});

test("taken: whatever a Gateway, its hosts, a Service and its slices say, the proxies take the rest", (t) => {
  const specs = fc.record({
    gateway: anyOf(fieldOf(gatewaySchema, "spec"), "spec"),
    hostnames: anyOf(fieldOf(httpRouteSchema, "spec", "hostnames"), "hostnames"),
    ports: anyOf(fieldOf(serviceSchema, "spec", "ports"), "ports"),
    slice: fc.record({
      addressType: anyOf(fieldOf(endpointSliceSchema, "addressType"), "addressType"),
      endpoints: anyOf(fieldOf(endpointSliceSchema, "endpoints"), "endpoints"),
      ports: anyOf(fieldOf(endpointSliceSchema, "ports"), "ports"),
    }),
  });
  fc.assert(
    fc.property(specs, (made) => {
      // What the schemas accept is what the types say.
      const found = made as {
        readonly gateway: NonNullable<typeof gateway.spec>;
        readonly hostnames: readonly string[];
        readonly ports: NonNullable<NonNullable<ReturnType<typeof service>["spec"]>["ports"]>;
        readonly slice: ReturnType<typeof slice>;
      };
      const backendRefs = [{ name: "web", port: found.ports[0]?.port ?? 80 }];
      take({
        gateway: { ...gateway, spec: found.gateway },
        httpRoutes: [httpRoute({ hostnames: found.hostnames, rules: [{ backendRefs }] })],
        service: (_namespace, name) => ({ ...service(name), spec: { ports: found.ports } }),
        slices: () => [{ ...slice(80, ["a"]), ...found.slice }, slice(80, ["b"])],
      });
    }),
    { seed: 13, numRuns: RUNS },
  );
  t.end();
});
