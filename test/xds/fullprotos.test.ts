// Every field of Envoy's full API that a resource can hold, set by itself: it is carried out, listed as harmless, or refused by its path. Also
// those that our own subset does not define: nothing that a control plane may send is ignored by accident.
import { type DescField, type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import protobuf from "protobufjs";
import { test } from "tap";
import { supportOf } from "../../src/xds/support.ts";
import { RESOURCE_SCHEMAS, type ResourceKind, registry, unsupportedFields } from "../../src/xds/types.ts";
import { shippedRoot } from "../support/shippedprotos.ts";

const ANY = "google.protobuf.Any";
const HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
/** What may stand in an Any, by the field that holds it. */
const INSIDE: Readonly<Record<string, readonly string[]>> = {
  "envoy.config.listener.v3.Filter.typed_config": [
    HCM,
    "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
  ],
  "envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter.typed_config": [
    "envoy.extensions.filters.http.router.v3.Router",
  ],
  "envoy.config.core.v3.TypedExtensionConfig.typed_config": [
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
  ],
  "envoy.config.accesslog.v3.AccessLog.typed_config": [
    "envoy.extensions.access_loggers.file.v3.FileAccessLog",
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
  ],
  "envoy.config.route.v3.RetryPolicy.RetryHostPredicate.typed_config": [
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
  ],
  "envoy.config.cluster.v3.Cluster.typed_extension_protocol_options": [
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
  ],
};

/** A message at its place in a resource. */
interface Place {
  readonly type: protobuf.Type;
  /** Our own subset of it. */
  readonly ours: DescMessage;
  /** Empty for the resource itself, else it ends in a dot. */
  readonly path: string;
  /** The resource around the message's bytes, with nothing else in it. */
  readonly wrap: (bytes: Uint8Array) => Uint8Array;
}

interface Verdicts {
  supported: number;
  harmless: number;
  refused: number;
  unknown: number;
  readonly wrong: string[];
}

test("full protos: every field that Envoy has, set by itself, is carried out, harmless or refused by its path", (t) => {
  const root = shippedRoot();
  const verdicts: Verdicts = { supported: 0, harmless: 0, refused: 0, unknown: 0, wrong: [] };
  for (const kind of ["listeners", "routes", "clusters", "endpoints"] as const) {
    const ours = RESOURCE_SCHEMAS[kind];
    const type = root.lookupType(ours.typeName);
    const seen = new Set<string>();
    for (const places: Place[] = [{ type, ours, path: "", wrap: (bytes) => bytes }]; places.length > 0; ) {
      const place = places.shift();
      if (place === undefined || seen.has(place.type.fullName)) continue;
      seen.add(place.type.fullName);
      for (const field of place.type.fieldsArray) {
        judge(kind, place, field, verdicts);
        places.push(...placesIn(root, place, field));
      }
    }
  }
  t.strictSame(verdicts.wrong, []);
  const { supported, harmless, refused, unknown } = verdicts;
  t.ok(supported > 400 && harmless > 80 && refused > 120 && unknown > 140, JSON.stringify(verdicts));
  t.end();
});

/** Holds what is said of a resource with only this field set against the table. */
function judge(kind: ResourceKind, place: Place, field: protobuf.Field, verdicts: Verdicts): void {
  const resource: Message = fromBinary(
    RESOURCE_SCHEMAS[kind],
    place.wrap(encode(place.type, field, sampleOf(field))),
  );
  const found = unsupportedFields(kind, resource);
  const at = `${place.path}${field.name}`;
  const said = found.map(({ path, why }) => `${path} ${why}`);
  const fail = (wanted: string): void => {
    verdicts.wrong.push(`${kind} ${at} is ${wanted}, and this is said: ${said.join("; ") || "nothing"}`);
  };
  const ours = fieldIn(place, field);
  if (ours === undefined) {
    verdicts.unknown += 1;
    if (!said.includes(`${place.path}#${field.id} is a field that this proxy does not know`)) fail("unknown");
    return;
  }
  const verdict = supportOf(ours);
  verdicts[verdict] += 1;
  if (verdict === "harmless" && said.length > 0) fail("harmless");
  if (verdict === "refused" && !said.includes(`${at} is not supported by this proxy`)) fail("refused");
  // Some of its values may be refused, and an Any without a type.
  const isRefused = found.some(({ path, why }) => path === at && !/has a value|^holds /.test(why));
  if (verdict === "supported" && isRefused) fail("supported");
}

function fieldIn({ ours }: Place, { id }: protobuf.Field): DescField | undefined {
  return ours.fields.find(({ number }) => number === id);
}

/** The places of the messages that a supported field can hold. */
function placesIn(root: protobuf.Root, place: Place, field: protobuf.Field): Place[] {
  const ours = fieldIn(place, field);
  if (ours === undefined || supportOf(ours) !== "supported") return [];
  const inner = field.resolvedType;
  if (!(inner instanceof protobuf.Type)) return [];
  const path = `${place.path}${field.name}${field instanceof protobuf.MapField ? '["k"]' : field.repeated ? "[0]" : ""}.`;
  const wrap = (bytes: Uint8Array): Uint8Array =>
    place.wrap(encode(place.type, field, shaped(field, inner.decode(bytes))));
  const name = inner.fullName.slice(1);
  if (name === ANY)
    return (INSIDE[`${place.type.fullName.slice(1)}.${field.name}`] ?? []).flatMap((typeName) => {
      const inside = registry.getMessage(typeName);
      if (inside === undefined) throw new Error(`the registry has no ${typeName}`);
      const any = (value: Uint8Array) => inner.create({ type_url: `type.googleapis.com/${typeName}`, value });
      return {
        type: root.lookupType(typeName),
        ours: inside,
        path,
        wrap: (value: Uint8Array) => wrap(inner.encode(any(value)).finish()),
      };
    });
  if (name.startsWith("google.protobuf.") || ours.message === undefined) return [];
  return [{ type: inner, ours: ours.message, path, wrap }];
}

function encode(type: protobuf.Type, { name }: protobuf.Field, value: unknown): Uint8Array {
  return type.encode(type.create({ [name]: value })).finish();
}

function shaped(field: protobuf.Field, value: unknown): unknown {
  if (field instanceof protobuf.MapField) return { k: value };
  return field.repeated ? [value] : value;
}

/** A value that is not the default. */
function sampleOf(field: protobuf.Field): unknown {
  const { resolvedType } = field;
  if (resolvedType instanceof protobuf.Enum)
    return shaped(field, Math.max(...Object.values(resolvedType.values)));
  if (resolvedType instanceof protobuf.Type) return shaped(field, resolvedType.create({}));
  if (field.type === "string") return shaped(field, "x");
  if (field.type === "bytes") return shaped(field, Buffer.from("x"));
  return shaped(field, field.type === "bool" ? true : 1);
}
