// What is said of a resource where xDS has no field for it: weir's own part of its metadata, `metadata.filter_metadata["weir.dev"]`. Other proxies
// leave it alone. Pure.
import type { Listener } from "../../xds/types.ts";
import type { Problems } from "./problems.ts";

/** The key of weir's own part. */
export const METADATA_KEY = "weir.dev";

const HALF_CLOSE = "half_close";

/** Path of one of its fields, for problems. */
export function metadataPath(field: string): string {
  return `metadata.filter_metadata["${METADATA_KEY}"].${field}`;
}

/** Reads `half_close` of a listener: whether clients may end their side behind a request and still get its answer. */
export function compileHalfClose({ metadata }: Listener, problems: Problems): boolean {
  const own = metadata?.filterMetadata[METADATA_KEY] ?? {};
  for (const field of Object.keys(own))
    if (field !== HALF_CLOSE) problems.add(metadataPath(field), "is not supported by this proxy");
  const { [HALF_CLOSE]: halfClose = false } = own;
  if (typeof halfClose !== "boolean") problems.add(metadataPath(HALF_CLOSE), "is neither true nor false");
  return halfClose === true;
}
