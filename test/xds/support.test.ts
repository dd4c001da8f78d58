// What the proxy does not carry out is named by path: unknown fields anywhere, also inside Anys, and every known field by the table.
import { glob, readFile } from "node:fs/promises";
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { test } from "tap";
import { SUPPORT, supportOf } from "../../src/xds/support.ts";
import {
  BootstrapSchema,
  Cluster_LbPolicy,
  ClusterSchema,
  create,
  fromBinary,
  HttpConnectionManagerSchema,
  ListenerSchema,
  pack,
  RESOURCE_SCHEMAS,
  RouteActionSchema,
  RouteConfigurationSchema,
  RouterSchema,
  RouteSchema,
  registry,
  toBinary,
  unknownFieldPaths,
  unsupportedFields,
} from "../../src/xds/types.ts";

/** The bytes of a message with one field more, of number `no`. */
function withUnknown(bytes: Uint8Array, no: number): Uint8Array {
  const extra = new BinaryWriter().tag(no, WireType.Varint).uint32(7).finish();
  return Buffer.concat([bytes, extra]);
}

function routeConfiguration(action: Uint8Array): Message & { $typeName: string } {
  const route = create(RouteSchema, { match: { pathSpecifier: { case: "prefix", value: "/" } } });
  route.action = { case: "route", value: fromBinary(RouteActionSchema, action) };
  return create(RouteConfigurationSchema, {
    name: "r",
    virtualHosts: [{ name: "v", domains: ["*"], routes: [route] }],
  });
}

const toOne = create(RouteActionSchema, { clusterSpecifier: { case: "cluster", value: "c" } });

test("unknown fields: are named by their path, also after a round trip", (t) => {
  const made = routeConfiguration(withUnknown(toBinary(RouteActionSchema, toOne), 37));
  const again = fromBinary(
    RouteConfigurationSchema,
    toBinary(RouteConfigurationSchema, fromBinary(RouteConfigurationSchema, bytesOf(made))),
  );
  t.strictSame(unknownFieldPaths(RouteConfigurationSchema, again), ["virtual_hosts[0].routes[0].route.#37"]);
  t.match(unsupportedFields("routes", again), [
    { path: "virtual_hosts[0].routes[0].route.#37", why: /does not know/ },
  ]);
  t.end();
});

function bytesOf(message: Message): Uint8Array {
  const schema = registry.getMessage(message.$typeName);
  if (schema === undefined) throw new Error(`no schema of ${message.$typeName}`);
  return toBinary(schema, message);
}

test("unknown fields: are found inside extensions", (t) => {
  const manager = pack(HttpConnectionManagerSchema, { statPrefix: "x" });
  const damaged = { ...manager, value: withUnknown(manager.value, 99) };
  const listener = create(ListenerSchema, {
    name: "l",
    filterChains: [{ filters: [{ name: "http", configType: { case: "typedConfig", value: damaged } }] }],
  });
  t.strictSame(unknownFieldPaths(ListenerSchema, listener), ["filter_chains[0].filters[0].typed_config.#99"]);
  t.end();
});

test("unsupported fields: an extension of unknown type is named, one of the registry is looked into", (t) => {
  const filter = (typeUrl: string) => ({
    name: "f",
    configType: { case: "typedConfig" as const, value: { ...pack(RouterSchema, {}), typeUrl } },
  });
  const manager = pack(HttpConnectionManagerSchema, {
    httpFilters: [
      filter("type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"),
      filter("type.googleapis.com/x.Lua"),
    ],
  });
  const listener = create(ListenerSchema, {
    filterChains: [{ filters: [{ configType: { case: "typedConfig", value: manager } }] }],
  });
  const path = "filter_chains[0].filters[0].typed_config.http_filters[1].typed_config";
  t.strictSame(unsupportedFields("listeners", listener), [
    { path, why: "holds x.Lua, which this proxy does not know" },
  ]);
  t.end();
});

test("unsupported fields: a supported field with a value that is not is named with the value", (t) => {
  const cluster = create(ClusterSchema, {
    name: "c",
    lbPolicy: Cluster_LbPolicy.MAGLEV,
    maxRequestsPerConnection: 3,
  });
  t.strictSame(unsupportedFields("clusters", cluster), [
    { path: "lb_policy", why: "has a value that this proxy does not support: MAGLEV" },
    { path: "max_requests_per_connection", why: "is not supported by this proxy" },
  ]);
  t.end();
});

/** Every message that a resource can hold by way of supported fields, extensions included. */
function reachable(): readonly DescMessage[] {
  const found = new Set<DescMessage>();
  const add = (schema: DescMessage): void => {
    if (found.has(schema) || schema.typeName.startsWith("google.protobuf.")) return;
    found.add(schema);
    for (const field of schema.fields)
      if (supportOf(field) === "supported" && field.message !== undefined) add(field.message);
  };
  Object.values(RESOURCE_SCHEMAS).forEach(add);
  add(HttpConnectionManagerSchema);
  add(RouterSchema);
  add(BootstrapSchema);
  return [...found];
}

function namesOf(typeName: string): string[] {
  const row = SUPPORT[typeName];
  return [row?.supported, row?.harmless, row?.refused]
    .flatMap((names) => names?.split(" ") ?? [])
    .filter(Boolean);
}

test("support table: every field of every message that can be reached has exactly one verdict", (t) => {
  const messages = reachable();
  t.ok(messages.length > 25, `${messages.length} messages`);
  for (const schema of messages)
    t.strictSame(
      namesOf(schema.typeName).sort(),
      schema.fields.map((field) => field.name).sort(),
      schema.typeName,
    );
  t.end();
});

/** By name, what nobody reads: of these the table itself allows one way alone (ADS, from the same server; the router), or they are sent on with the node. */
const UNREAD = [
  "http_filters",
  "ads",
  "self",
  "config_source",
  "eds_config",
  "lrs_server",
  "cds_config",
  "region",
  "zone",
  "sub_zone",
];

test("support table: what counts as supported is read where configuration is compiled", async (t) => {
  const files = await Array.fromAsync(glob(["src/proxy/**/*.ts", "src/xds/*.ts"]));
  const readers = files.filter((file) => !/xds\/(?:support|types|unknown)\.ts$/.test(file));
  const texts = await Promise.all(readers.map((file) => readFile(file, "utf8")));
  const words = new Set(texts.join("\n").match(/\w+/g));
  const unread = reachable().flatMap(({ typeName, fields }) =>
    fields
      .filter((field) => supportOf(field) === "supported" && !UNREAD.includes(field.name))
      // Of these one value is carried out, and any other refused.
      .filter((field) => SUPPORT[typeName]?.only?.[field.name] === undefined)
      .filter((field) => !words.has(field.localName))
      .map((field) => `${typeName}.${field.name}`),
  );
  t.strictSame(unread, []);
});

/** A message with just this field set, to any value. */
function withField(schema: DescMessage, field: DescField): Message {
  const message = reflect(schema);
  switch (field.fieldKind) {
    case "scalar":
      message.set(field, sample(field.scalar));
      break;
    case "enum":
      message.set(field, field.enum.values.at(-1)?.number ?? 0);
      break;
    case "message":
      message.set(field, reflect(field.message));
      break;
    case "list":
      message
        .get(field)
        .add(
          field.listKind === "message"
            ? reflect(field.message)
            : field.listKind === "enum"
              ? 1
              : sample(field.scalar),
        );
      break;
    case "map":
      message.get(field).set("k", field.mapKind === "message" ? reflect(field.message) : "v");
      break;
  }
  return message.message;
}

function sample(scalar: ScalarType): unknown {
  switch (scalar) {
    case ScalarType.BOOL:
      return true;
    case ScalarType.STRING:
      return "x";
    case ScalarType.BYTES:
      return new Uint8Array([1]);
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return 1n;
    default:
      return 1;
  }
}

test("unsupported fields: each refused field of the resources is named, each harmless one passes", (t) => {
  for (const kind of ["listeners", "routes", "clusters", "endpoints"] as const) {
    const schema: DescMessage = RESOURCE_SCHEMAS[kind];
    for (const field of schema.fields) {
      const found = unsupportedFields(kind, withField(schema, field)).map(({ path }) => path);
      const verdict = supportOf(field);
      if (verdict === "refused") t.strictSame(found, [field.name], `${kind} ${field.name} is refused`);
      if (verdict === "harmless") t.strictSame(found, [], `${kind} ${field.name} is harmless`);
    }
  }
  t.end();
});

test("unsupported fields: each refused field of a route's action and match is named by its path", (t) => {
  const action = RouteActionSchema.fields.filter((field) => supportOf(field) === "refused");
  t.ok(action.length > 5);
  for (const field of action) {
    const value = withField(RouteActionSchema, field);
    const configuration = routeConfiguration(bytesOf(value));
    t.strictSame(
      unsupportedFields("routes", configuration).map(({ path }) => path),
      [`virtual_hosts[0].routes[0].route.${field.name}`],
    );
  }
  t.end();
});
