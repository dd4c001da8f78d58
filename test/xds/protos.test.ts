// Holds proto/ against the full set of Envoy's API that @grpc/grpc-js-xds ships: every message, enum and field that we define exists
// there with the same number, type, label and oneof. Also: the generated code is what scripts/generate-proto.ts writes.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { DescEnum, DescField, DescMessage } from "@bufbuild/protobuf";
import { createRegistry, ScalarType } from "@bufbuild/protobuf";
import protobuf from "protobufjs";
import { test } from "tap";
import { file_envoy_service_discovery_v3_discovery } from "../../src/xds/gen/envoy/service/discovery/v3/discovery_pb.ts";
import { file_envoy_service_load_stats_v3_lrs } from "../../src/xds/gen/envoy/service/load_stats/v3/lrs_pb.ts";
import { registry } from "../../src/xds/types.ts";
import { shippedRoot } from "../support/shippedprotos.ts";

const ROOT = join(import.meta.dirname, "../..");
/** Fields newer than the shipped set, with the shape that Envoy's current API gives them. */
const NEWER: Readonly<Record<string, string>> = {
  "envoy.config.route.v3.WeightedCluster.use_hash_policy":
    "5 google.protobuf.BoolValue in random_value_specifier",
  "envoy.config.route.v3.RouteMatch.cookies": "17 repeated envoy.config.route.v3.CookieMatcher",
  "envoy.config.route.v3.CookieMatcher.name": "1 string",
  "envoy.config.route.v3.CookieMatcher.string_match": "2 envoy.type.matcher.v3.StringMatcher",
  "envoy.config.route.v3.CookieMatcher.invert_match": "3 bool",
};
/** Messages newer than the shipped set; their fields are in the table above. */
const NEWER_MESSAGES: readonly string[] = ["envoy.config.route.v3.CookieMatcher"];

/** One line per field: number, label, type, oneof. The same words for both sides. */
function ourShape(field: DescField): string {
  const oneof = field.oneof === undefined ? "" : ` in ${field.oneof.name}`;
  switch (field.fieldKind) {
    case "map": {
      const value = field.mapKind === "scalar" ? ScalarType[field.scalar].toLowerCase() : typeName(field);
      return `${field.number} map<${ScalarType[field.mapKey].toLowerCase()}, ${value}>${oneof}`;
    }
    case "list": {
      const item = field.listKind === "scalar" ? ScalarType[field.scalar].toLowerCase() : typeName(field);
      return `${field.number} repeated ${item}${oneof}`;
    }
    case "scalar":
      return `${field.number} ${ScalarType[field.scalar].toLowerCase()}${oneof}`;
    default:
      return `${field.number} ${typeName(field)}${oneof}`;
  }
}

function typeName(field: DescField): string {
  return (field.message ?? field.enum)?.typeName ?? "";
}

function shippedShape(field: protobuf.Field): string {
  const type = field.resolvedType?.fullName.replace(/^\./, "") ?? field.type;
  const oneof = field.partOf === null ? "" : ` in ${field.partOf.name}`;
  if (field instanceof protobuf.MapField) return `${field.id} map<${field.keyType}, ${type}>${oneof}`;
  return `${field.id} ${field.repeated ? "repeated " : ""}${type}${oneof}`;
}

function ourTypes(): { readonly messages: DescMessage[]; readonly enums: DescEnum[] } {
  const services = createRegistry(
    file_envoy_service_discovery_v3_discovery,
    file_envoy_service_load_stats_v3_lrs,
  );
  const ours = [...createRegistry(registry, services)].filter(
    (type) => !type.typeName.startsWith("google.protobuf."),
  );
  return {
    messages: ours.filter((type) => type.kind === "message"),
    enums: ours.filter((type) => type.kind === "enum"),
  };
}

test("protos: every field has the number, type, label and oneof of Envoy's own", (t) => {
  const root = shippedRoot();
  const { messages } = ourTypes();
  t.ok(messages.length > 90, `compares ${messages.length} messages`);
  const differing: string[] = [];
  for (const message of messages) {
    // A message that is newer has no fields there.
    const theirs = NEWER_MESSAGES.includes(message.typeName) ? undefined : root.lookupType(message.typeName);
    for (const field of message.fields) {
      const name = `${message.typeName}.${field.name}`;
      const shipped = theirs?.fields[field.name];
      const wanted = shipped === undefined ? NEWER[name] : shippedShape(shipped);
      if (wanted !== ourShape(field)) differing.push(`${name}: ${ourShape(field)}, there ${wanted}`);
      if (shipped !== undefined && NEWER[name] !== undefined) differing.push(`${name} is not newer any more`);
    }
  }
  t.strictSame(differing, []);
  t.end();
});

test("protos: every enum value has the number of Envoy's own", (t) => {
  const root = shippedRoot();
  const { enums } = ourTypes();
  t.ok(enums.length > 20, `compares ${enums.length} enums`);
  const differing: string[] = [];
  for (const { typeName: name, values } of enums) {
    const theirs = root.lookupEnum(name).values;
    for (const value of values)
      if (theirs[value.name] !== value.number) differing.push(`${name}.${value.name} = ${value.number}`);
  }
  t.strictSame(differing, []);
  t.end();
});

test("protos: the generated code is what the generator writes", (t) => {
  const result = spawnSync(process.execPath, ["scripts/generate-proto.ts", "--check"], {
    cwd: ROOT,
    encoding: "utf8",
  });
  t.equal(result.status, 0, result.stderr);
  t.end();
});
