// Messages by lot: of all fields that the proxy's subset of Envoy's API has, extensions included, with what such fields say, and with nonsense.
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { fromJson, ScalarType } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { AnySchema, anyPack, DurationSchema, StructSchema } from "@bufbuild/protobuf/wkt";
import type { Dice } from "../../src/proxy/route/split.ts";
import { supportOf } from "../../src/xds/support.ts";
import { durationOf, registry } from "../../src/xds/types.ts";

const MAX_DEPTH = 14;

const TEXTS = ["", "x", "a b", "*", "*.x", "/", "/a", "é", "x\r\ny: z", "%", "%REQ(x)%", "x".repeat(300)];
/** What a field by that name may say, besides nonsense. */
const HINTS: Readonly<Record<string, readonly string[]>> = {
  address: ["127.0.0.1", "::1", "10.0.0.1", "pods.test"],
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
export function anyMessage<Shape extends Message>(schema: DescMessage, dice: Dice): Shape {
  const made = reflect(schema);
  fill(made, dice, 0);
  // It is of the schema that was asked for.
  return made.message as Shape;
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

/** One of the items. */
export function one<Item>(items: readonly Item[], dice: Dice): Item {
  const item = items[dice.below(items.length)];
  if (item === undefined) throw new RangeError("nothing to pick from");
  return item;
}
