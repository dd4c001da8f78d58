// What a request is about, from method, path and query alone. Pure; a path that leads nowhere is `unknown`.
import { findKind, isAbsent, type Kind } from "./kinds.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export type Route =
  | { readonly kind: "collection"; readonly of: Kind; readonly namespace: string | undefined }
  | {
      readonly kind: "object";
      readonly of: Kind;
      readonly namespace: string;
      readonly name: string;
      readonly part: ObjectPart;
    }
  | { readonly kind: "health"; readonly check: string }
  | { readonly kind: "version" }
  | { readonly kind: "discovery"; readonly of: "core" | "groups" }
  | { readonly kind: "groupVersion"; readonly group: string; readonly version: string }
  | { readonly kind: "group"; readonly group: string }
  | { readonly kind: "openapi"; readonly path: string }
  | { readonly kind: "openapiV2" }
  | { readonly kind: "review"; readonly group: string; readonly review: string }
  | { readonly kind: "interactive"; readonly what: string }
  | { readonly kind: "unknown" };

export type ObjectPart = "main" | "status" | "scale" | "log" | "binding" | "eviction";

/** Groups whose one version holds reviews only. */
export const REVIEWS: Readonly<Record<string, readonly (readonly [plural: string, kind: string])[]>> = {
  "authorization.k8s.io": [
    ["selfsubjectaccessreviews", "SelfSubjectAccessReview"],
    ["selfsubjectrulesreviews", "SelfSubjectRulesReview"],
  ],
  "authentication.k8s.io": [["selfsubjectreviews", "SelfSubjectReview"]],
};

const INTERACTIVE: ReadonlySet<string> = new Set(["exec", "attach", "portforward", "proxy"]);
const UNKNOWN: Route = { kind: "unknown" };

/** Parses a decoded path without query. */
export function parseRoute(path: string): Route {
  const parts = path.split("/").filter((part) => part !== "");
  const [root = "", ...rest] = parts;
  switch (root) {
    case "healthz":
    case "livez":
    case "readyz":
      return { kind: "health", check: root };
    case "version":
      return rest.length === 0 ? { kind: "version" } : UNKNOWN;
    case "openapi":
      if (rest[0] === "v2" && rest.length === 1) return { kind: "openapiV2" };
      return rest[0] === "v3" ? { kind: "openapi", path: rest.slice(1).join("/") } : UNKNOWN;
    case "api":
      return rest.length === 0 ? { kind: "discovery", of: "core" } : versionRoute("", rest);
    case "apis":
      if (rest.length === 0) return { kind: "discovery", of: "groups" };
      return rest.length === 1
        ? { kind: "group", group: rest[0] ?? "" }
        : versionRoute(rest[0] ?? "", rest.slice(1));
    default:
      return UNKNOWN;
  }
}

function versionRoute(group: string, parts: readonly string[]): Route {
  const [version = "", ...rest] = parts;
  if (rest.length === 0) return { kind: "groupVersion", group, version };
  const review = REVIEWS[group]?.find(([plural]) => plural === rest[0]);
  if (review !== undefined && version === "v1") return { kind: "review", group, review: review[1] };
  if (rest[0] === "namespaces" && rest.length >= 3 && !(rest.length === 3 && rest[2] === "status"))
    return resourceRoute(findKind(group, version, rest[2] ?? ""), rest[1], rest.slice(3));
  return resourceRoute(findKind(group, version, rest[0] ?? ""), undefined, rest.slice(1));
}

function resourceRoute(of: Kind | undefined, namespace: string | undefined, rest: readonly string[]): Route {
  if (of === undefined) return UNKNOWN;
  if (namespace !== undefined && !of.type.isNamespaced) return UNKNOWN;
  const [name, part, ...more] = rest;
  if (name === undefined) return { kind: "collection", of, namespace };
  if (isAbsent(of)) return UNKNOWN;
  if (namespace === undefined && of.type.isNamespaced) return UNKNOWN;
  if (part !== undefined && INTERACTIVE.has(part)) return { kind: "interactive", what: part };
  if (more.length > 0) return UNKNOWN;
  const object = { kind: "object", of, namespace: namespace ?? "", name } as const;
  if (part === undefined) return { ...object, part: "main" };
  if ((part === "binding" || part === "eviction") && of.id === "pods") return { ...object, part };
  if ((part === "status" || part === "scale" || part === "log") && of.type.subresources.includes(part))
    return { ...object, part };
  return UNKNOWN;
}
