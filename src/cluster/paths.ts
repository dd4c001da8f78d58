// Paths and queries of the Kubernetes API for a kind.
import type { ResourceType } from "../api/api.ts";
import { WeirError } from "../lib/errors.ts";
import { CLUSTER_ERRORS } from "./errors.ts";

/** `/api/v1/namespaces/ns/pods`; without namespace the collection over all namespaces. */
export function collectionPath(type: ResourceType, namespace?: string): string {
  const root = type.group === "" ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope = type.isNamespaced && namespace !== undefined ? `/namespaces/${segment(namespace)}` : "";
  return `${root}${scope}/${type.plural}`;
}

/** Path of one object, or of a subresource of it. Throws `invalid` when a namespaced kind comes without namespace. */
export function objectPath(
  type: ResourceType,
  ref: { readonly namespace?: string | undefined; readonly name: string },
  subresource?: string,
): string {
  requireNamespace(type, ref.namespace);
  const own = `${collectionPath(type, ref.namespace)}/${segment(ref.name)}`;
  return subresource === undefined ? own : `${own}/${subresource}`;
}

/** Throws `invalid` when `type` needs a namespace and there is none. */
export function requireNamespace(type: ResourceType, namespace: string | undefined): void {
  if (!type.isNamespaced || (namespace !== undefined && namespace !== "")) return;
  throw invalid(`${type.kind} is namespaced: give a namespace`);
}

/** `?a=1&b=2` of the parameters that are set; empty text when none is. */
export function query(parameters: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const pairs = Object.entries(parameters).flatMap(([key, value]) =>
    value === undefined ? [] : [`${encodeURIComponent(key)}=${encodeURIComponent(String(value))}`],
  );
  return pairs.length === 0 ? "" : `?${pairs.join("&")}`;
}

function segment(text: string): string {
  if (text === "" || text === "." || text === "..") throw invalid(`${JSON.stringify(text)} is not a name`);
  return encodeURIComponent(text);
}

function invalid(message: string): WeirError {
  return new WeirError({ code: CLUSTER_ERRORS.invalid, source: "user", message });
}
