// Whatever a control plane sends: a resource is taken, or refused by a path, and what is refused changes nothing. Messages are made by lot of all
// fields that the proxy's subset of Envoy's API has, extensions included; a fixed seed and a fresh one, printed.
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { fromJson, ScalarType } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { AnySchema, anyPack, DurationSchema, StructSchema } from "@bufbuild/protobuf/wkt";
import { type Test, test } from "tap";
import { isWeirError } from "../../src/lib/errors.ts";
import { silentLogger } from "../../src/lib/log.ts";
import {
  compileCluster,
  compileEndpoints,
  compileListener,
  compileRoutes,
} from "../../src/proxy/compile/compile.ts";
import { CONFIG_REJECTED } from "../../src/proxy/compile/problems.ts";
import { Configuration } from "../../src/proxy/configuration.ts";
import { Core } from "../../src/proxy/core.ts";
import { Dice } from "../../src/proxy/route/split.ts";
import { connectWire } from "../../src/proxy/wire/netwire.ts";
import { supportOf } from "../../src/xds/support.ts";
import {
  BootstrapSchema,
  type Cluster,
  type ClusterLoadAssignment,
  create,
  durationOf,
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
  type Listener,
  pack,
  RESOURCE_SCHEMAS,
  type ResourceKind,
  type RouteConfiguration,
  registry,
  unsupportedFields,
} from "../../src/xds/types.ts";
import { createManualClock } from "../support/clock.ts";
import { bootstrapOf, type Json, recordingOrigin, talk } from "./support.ts";

const RUNS = Number(process.env.WEIR_FUZZ_RUNS ?? 1500);
const SEEDS = [20_261_122, Math.floor(Math.random() * 2 ** 31)];
const MAX_DEPTH = 14;

const TEXTS = ["", "x", "a b", "*", "*.x", "/", "/a", "é", "x\r\ny: z", "%", "%REQ(x)%", "x".repeat(300)];
/** What a field by that name may say, besides nonsense. */
const HINTS: Readonly<Record<string, readonly string[]>> = {
  address: ["127.0.0.1", "::1", "10.0.0.1"],
  cluster: ["one", "two", "main"],
  cluster_name: ["one", "two"],
  domains: ["a.test", "*.a.test", "a.*", "*"],
  format: ["%RESPONSE_CODE%\n"],
  header_name: ["x-user", "cookie"],
  inline_string: ["text", "%RESPONSE_CODE%"],
  key: ["x-a", "x-b", "cache-control", "host"],
  name: ["one", "two", "x-a", ":method", "host"],
  path: ["/a", "/b", "/dev/null"],
  path_redirect: ["/new"],
  path_separated_prefix: ["/a", "/a/b"],
  prefix: ["/", "/a", ""],
  prefix_rewrite: ["/", "/b"],
  regex: ["/[a-z]+", ".*", "(a|b)", "(", "(?=a)", "a{1000}"],
  retry_on: ["5xx", "reset,connect-failure", "retriable-headers", "retriable-status-codes,5xx"],
  route_config_name: ["main"],
  scheme_redirect: ["https"],
  service_name: ["one"],
  value: ["1", "text", "%UPSTREAM_CLUSTER%"],
};
const INTEGERS = [0, 1, 2, 3, 5, 10, 99, 100, 101, 301, 404, 503, 8_080, 65_536, 2 ** 31 - 1];
const EXTENSIONS = [
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
  "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
  "envoy.extensions.filters.http.router.v3.Router",
  "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
  "envoy.extensions.access_loggers.file.v3.FileAccessLog",
  "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
  "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
  "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
];

/** Which shares of a message's fields are set. */
const DENSITIES = [0.1, 0.3, 0.75];

/** A message of that schema, by lot. */
function anyMessage<Shape extends Message>(schema: DescMessage, dice: Dice): Shape {
  const made = reflect(schema);
  fill(made, dice, 0);
  // It is of the schema that was asked for.
  return made.message as Shape;
}

const anyCluster = (dice: Dice): Cluster => anyMessage(RESOURCE_SCHEMAS.clusters, dice);
const anyRoutes = (dice: Dice): RouteConfiguration => anyMessage(RESOURCE_SCHEMAS.routes, dice);
const anyEndpoints = (dice: Dice): ClusterLoadAssignment => anyMessage(RESOURCE_SCHEMAS.endpoints, dice);

/** One that a proxy takes, if so many tries find one. */
function likely<Shape>(dice: Dice, make: (dice: Dice) => Shape, read: (made: Shape) => unknown): Shape {
  for (let tries = 0; ; tries++) {
    const made = make(dice);
    try {
      read(made);
      return made;
    } catch (error) {
      if (!isWeirError(error, CONFIG_REJECTED)) throw error;
      if (tries > 100) return made;
    }
  }
}

function fill(message: ReflectMessage, dice: Dice, depth: number): void {
  const density = one(DENSITIES, dice);
  for (const field of message.desc.fields) {
    // What is refused is so by its mere presence: it would hide all the rest.
    const share = supportOf(field) === "refused" ? 0.003 : density;
    if (dice.below(1_000) >= share * 1_000) continue;
    switch (field.fieldKind) {
      case "scalar":
        message.set(field, scalarOf(field.scalar, field.name, dice));
        break;
      case "enum":
        message.set(field, enumOf(field, dice));
        break;
      case "message":
        if (depth < MAX_DEPTH) message.set(field, inner(field.message, dice, depth + 1));
        break;
      case "list":
        for (let count = dice.below(3); count > 0 && depth < MAX_DEPTH; count--)
          message.get(field).add(itemOf(field, dice, depth));
        break;
      case "map":
        if (field.mapKind === "message" && depth < MAX_DEPTH)
          message.get(field).set(one(EXTENSIONS, dice), inner(field.message, dice, depth + 1));
        break;
    }
  }
}

function itemOf(field: DescField & { readonly fieldKind: "list" }, dice: Dice, depth: number): unknown {
  switch (field.listKind) {
    case "message":
      return inner(field.message, dice, depth + 1);
    case "enum":
      return enumOf(field, dice);
    case "scalar":
      return scalarOf(field.scalar, field.name, dice);
  }
}

function inner(schema: DescMessage, dice: Dice, depth: number): ReflectMessage {
  switch (schema.typeName) {
    case "google.protobuf.Any": {
      const known = registry.getMessage(one(EXTENSIONS, dice));
      if (known === undefined) throw new Error("the registry lacks an extension");
      const made = reflect(known);
      fill(made, dice, depth + 1);
      return reflect(AnySchema, anyPack(known, made.message));
    }
    case "google.protobuf.Duration":
      return reflect(DurationSchema, durationOf(one([0, 1, 250, 1_000, 15_000, 3_600_000, -1_000], dice)));
    case "google.protobuf.Struct":
      return reflect(StructSchema, fromJson(StructSchema, { a: one(TEXTS, dice), b: { c: [1, null] } }));
  }
  const made = reflect(schema);
  const [value] = schema.fields;
  if (schema.typeName.startsWith("google.protobuf.") && value?.fieldKind === "scalar")
    made.set(value, scalarOf(value.scalar, "", dice));
  else fill(made, dice, depth);
  return made;
}

function scalarOf(scalar: ScalarType, name: string, dice: Dice): unknown {
  switch (scalar) {
    case ScalarType.BOOL:
      return dice.below(2) === 0;
    case ScalarType.STRING:
      return one(dice.below(5) > 0 ? (HINTS[name] ?? TEXTS) : TEXTS, dice);
    case ScalarType.BYTES:
      return Uint8Array.of(dice.below(256), 0);
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
      return BigInt(one(INTEGERS, dice));
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return one([0, 0.5, 1, 33.3, 100, 101, -1, Number.NaN, Number.POSITIVE_INFINITY], dice);
    default:
      return one(INTEGERS, dice);
  }
}

function enumOf({ enum: desc }: { readonly enum?: DescField["enum"] }, dice: Dice): number {
  // Enums are open: any number may arrive. 0 is mostly what is supported.
  return one([0, 0, 0, 99, ...(desc?.values ?? []).map(({ number }) => number)], dice);
}

function one<Item>(items: readonly Item[], dice: Dice): Item {
  const item = items[dice.below(items.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}

const ROUTES_BY_NAME = create(HttpConnectionManagerSchema, {
  routeSpecifier: {
    case: "rds",
    value: { routeConfigName: "any", configSource: { configSourceSpecifier: { case: "ads", value: {} } } },
  },
});

/** A listener whose connection manager is any, but for its routes and its log: nothing is to be written anywhere. */
function anyListener(dice: Dice): Listener {
  const manager: HttpConnectionManager = anyMessage(HttpConnectionManagerSchema, dice);
  manager.accessLog = [];
  manager.routeSpecifier = ROUTES_BY_NAME.routeSpecifier;
  return create(RESOURCE_SCHEMAS.listeners, {
    name: "dynamic",
    address: {
      address: {
        case: "socketAddress",
        value: { address: "127.0.0.1", portSpecifier: { case: "portValue", value: 0 } },
      },
    },
    filterChains: [
      {
        filters: [{ configType: { case: "typedConfig", value: pack(HttpConnectionManagerSchema, manager) } }],
      },
    ],
  });
}

const COMPILE: Readonly<Record<ResourceKind, (dice: Dice) => { resource: Message; read: () => unknown }>> = {
  listeners(dice) {
    const resource =
      dice.below(3) === 0 ? anyMessage<Listener>(RESOURCE_SCHEMAS.listeners, dice) : anyListener(dice);
    return { resource, read: () => compileListener(resource) };
  },
  routes(dice) {
    const resource = anyRoutes(dice);
    return { resource, read: () => compileRoutes(resource, "1", () => 0) };
  },
  clusters(dice) {
    const resource = anyCluster(dice);
    return { resource, read: () => compileCluster(resource) };
  },
  endpoints(dice) {
    const resource = anyEndpoints(dice);
    return { resource, read: () => compileEndpoints(resource) };
  },
};

for (const seed of SEEDS)
  test(`any configuration: a resource is read, or refused by its paths (seed ${seed})`, (t) => {
    const dice = new Dice(seed);
    for (const kind of ["listeners", "routes", "clusters", "endpoints"] as const) {
      const seen = { read: 0, refused: 0, byValue: 0 };
      for (let run = 0; run < RUNS; run++) {
        const { resource, read } = COMPILE[kind](dice);
        try {
          read();
          seen.read += 1;
        } catch (error) {
          if (!isWeirError(error, CONFIG_REJECTED)) throw error;
          seen.refused += 1;
          // Looked into beyond the table of what is supported.
          if (unsupportedFields(kind, resource).length === 0) seen.byValue += 1;
          if (!/ is rejected: [a-z_]/.test(error.message)) t.fail(`${kind}: names no path: ${error.message}`);
        }
      }
      t.ok(seen.refused > 0 && seen.byValue > 0, `${kind}: ${JSON.stringify(seen)}`);
      t.comment(`${kind}: ${JSON.stringify(seen)}`);
    }
    t.end();
  });

for (const seed of SEEDS)
  test(`any configuration: what is refused changes nothing, and what is taken answers (seed ${seed})`, async (t) => {
    const { configuration, core, ask, askDynamic } = await serving(t);
    const dice = new Dice(seed);
    const seen = { taken: 0, refused: 0, answered: 0 };
    const versions = { listeners: "1", routes: "1", clusters: "1", endpoints: "1" };
    for (let run = 0; run < RUNS / 5; run++) {
      const before = [...core.clusters.keys()].sort();
      const clusters = Array.from({ length: 1 + dice.below(2) }, (_, index) => ({
        ...likely(dice, anyCluster, compileCluster),
        name: ["one", "two"][index] ?? "",
      }));
      const isMad = dice.below(3) === 0;
      const routes = {
        ...(isMad ? anyRoutes(dice) : likely(dice, anyRoutes, (made) => compileRoutes(made, "1", () => 0))),
        name: "any",
      };
      const endpoints = clusters.map(({ name }) => ({
        ...likely(dice, anyEndpoints, compileEndpoints),
        clusterName: name,
      }));
      const listeners = [likely(dice, anyListener, compileListener)];
      try {
        const update = { listeners, clusters, routes: [routes], endpoints, versions };
        await configuration.apply({ ...update, changed: "clusters" });
        seen.taken += 1;
        if (run % 3 === 0 && (await askDynamic(run))) seen.answered += 1;
      } catch (error) {
        if (!isWeirError(error, CONFIG_REJECTED)) throw error;
        seen.refused += 1;
        t.strictSame([...core.clusters.keys()].sort(), before, "nothing has changed");
      }
      if (run % 20 === 0) t.match(await ask(), /^HTTP\/1\.1 200 /);
    }
    t.ok(seen.taken > 0 && seen.refused > 0 && seen.answered > 0, JSON.stringify(seen));
    t.match(await ask(), /^HTTP\/1\.1 200 /);
    t.equal(core.counts.internalErrors, 0);
  });

/** A static listener and cluster, beside which a control plane says what it likes; all endpoints are one origin. */
async function serving(t: Test) {
  const origin = await recordingOrigin(t, (_seen, response) => response.end("ok"));
  const clock = createManualClock();
  const core = new Core({
    clock,
    log: silentLogger,
    seed: 1,
    connect: (context, _host, _others, _port, owner) =>
      connectWire(context, "127.0.0.1", [], origin.port, owner),
  });
  core.deadlines.start();
  const json: Json = bootstrapOf({ clusters: { main: [origin.port] } });
  const { listeners = [], clusters = [] } =
    fromJson(BootstrapSchema, json, { registry }).staticResources ?? {};
  const configuration = new Configuration(core, { listeners, clusters }, true);
  await configuration.openStatic();
  t.teardown(() => {
    configuration.close();
    core.deadlines.stop();
  });
  const portOf = (listener: string): number =>
    configuration.listeners.find(({ name }) => name === listener)?.port ?? 0;
  const ask = async (): Promise<string> =>
    (await talk(portOf("main"), "GET / HTTP/1.1\r\nHost: a\r\n\r\n", { until: /\r\n\r\n[\s\S]+$/ })).text;
  /** True when the dynamic listener answered a request; throws when it gave nonsense, or nothing. */
  const askDynamic = async (run: number): Promise<boolean> => {
    const port = portOf("dynamic");
    if (port === 0) return false;
    const target = ["/", "/a", "/b?x=1", "/a/b;c"][run % 4];
    const lines = [`GET ${target} HTTP/1.1`, "Host: a.test", "X-A: 1", "X-User: ann", "Cookie: x=1", "", ""];
    let text = "";
    let isOver = false;
    const asking = talk(port, lines.join("\r\n"), { until: /\r\n\r\n/, patienceMs: 20_000 }).then((found) => {
      text = found.text;
      isOver = true;
    });
    // Waits of every kind pass.
    while (!isOver) {
      await clock.advance(200);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await asking;
    if (text !== "" && !/^HTTP\/1\.1 [1-5]\d\d /.test(text)) throw new Error(`run ${run}: ${text}`);
    return text !== "";
  };
  return { configuration, core, ask, askDynamic };
}
