// A snapshot as bytes: one record per resource, of a byte for its kind, four for its length, and the message. For disks and between processes
// of one version of weir or, as far as protobuf goes, of several.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { RESOURCE_KINDS, RESOURCE_SCHEMAS, type ResourceKind, type XdsSnapshot } from "./messages.ts";

type Resource = XdsSnapshot[ResourceKind][number];

const HEAD_BYTES = 5;

/** One resource as bytes. */
export function encodeResource(kind: ResourceKind, resource: Resource): Uint8Array {
  const schema = RESOURCE_SCHEMAS[kind];
  // The kind says which message it is.
  return toBinary(schema as (typeof RESOURCE_SCHEMAS)["listeners"], resource as XdsSnapshot["listeners"][0]);
}

/** The resource of those bytes. Throws when they are none. */
export function decodeResource(kind: ResourceKind, bytes: Uint8Array): Resource {
  return fromBinary(RESOURCE_SCHEMAS[kind] as (typeof RESOURCE_SCHEMAS)["listeners"], bytes);
}

/** The records of a snapshot, one after another: whoever has other work between them may let it run. */
export function* encodeSnapshot(snapshot: XdsSnapshot): Generator<Uint8Array> {
  for (const [index, kind] of RESOURCE_KINDS.entries()) {
    for (const resource of snapshot[kind]) {
      const bytes = encodeResource(kind, resource);
      const record = new Uint8Array(HEAD_BYTES + bytes.length);
      record[0] = index;
      new DataView(record.buffer).setUint32(1, bytes.length);
      record.set(bytes, HEAD_BYTES);
      yield record;
    }
  }
}

/** The snapshot of those records. Throws when they are none. */
export function decodeSnapshot(bytes: Uint8Array): XdsSnapshot {
  const found: Record<ResourceKind, Resource[]> = { listeners: [], routes: [], clusters: [], endpoints: [] };
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < bytes.length) {
    const kind = RESOURCE_KINDS[view.getUint8(at)];
    const end = at + HEAD_BYTES + view.getUint32(at + 1);
    if (kind === undefined || end > bytes.length) throw new Error(`the record at byte ${at} is broken`);
    found[kind].push(decodeResource(kind, bytes.subarray(at + HEAD_BYTES, end)));
    at = end;
  }
  // Each list holds what its kind's schema read.
  return found as unknown as XdsSnapshot;
}
