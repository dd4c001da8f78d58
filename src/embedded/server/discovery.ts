// Discovery: which groups, versions and kinds there are, in the aggregated form that kubectl asks for and in the older one.
import { apiVersionOf } from "../../api/api.ts";
import { assertNever } from "../../lib/assert.ts";
import { type Answer, answerJson } from "./answer.ts";
import { apiError } from "./errors.ts";
import { KINDS, type Kind } from "./kinds.ts";
import { REVIEWS, type Route } from "./route.ts";

type DiscoveryRoute = Extract<Route, { readonly kind: "discovery" | "group" | "groupVersion" }>;

const VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"] as const;
const SUBRESOURCE_VERBS = {
  status: ["get", "patch", "update"],
  scale: ["get", "patch", "update"],
  log: ["get"],
} as const;
const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/** Answers /api, /apis, /apis/G, /api/v1 and /apis/G/V; 404 for groups that are not served. */
export function discoveryAnswer(route: DiscoveryRoute, accept: string): Answer {
  switch (route.kind) {
    case "discovery": {
      const wantsAggregated = /as=APIGroupDiscoveryList/.test(accept) && /v=v2(?![a-z0-9])/.test(accept);
      if (wantsAggregated) return answerJson(200, aggregated(route.of), AGGREGATED);
      return answerJson(
        200,
        route.of === "core"
          ? coreVersions()
          : { kind: "APIGroupList", apiVersion: "v1", groups: groups().map(groupEntry) },
      );
    }
    case "group": {
      if (!groups().includes(route.group)) throw notServed();
      return answerJson(200, { kind: "APIGroup", apiVersion: "v1", ...groupEntry(route.group) });
    }
    case "groupVersion": {
      const resources = legacyResources(route.group, route.version);
      if (resources.length === 0) throw notServed();
      const groupVersion = route.group === "" ? route.version : `${route.group}/${route.version}`;
      return answerJson(200, { kind: "APIResourceList", apiVersion: "v1", groupVersion, resources });
    }
    default:
      return assertNever(route);
  }
}

/** Every `group/version` that is served (`v1` for the core group). */
export function groupVersions(): readonly string[] {
  return [...new Set(KINDS.map((kind) => apiVersionOf(kind.type)))];
}

function groups(): readonly string[] {
  const stored = KINDS.map((kind) => kind.type.group).filter((group) => group !== "");
  return [...new Set([...stored, ...Object.keys(REVIEWS)])];
}

function versionOf(group: string): string {
  return KINDS.find((kind) => kind.type.group === group)?.type.version ?? "v1";
}

function coreVersions(): unknown {
  const serverAddressByClientCIDRs: readonly unknown[] = [];
  return { kind: "APIVersions", versions: ["v1"], serverAddressByClientCIDRs };
}

function groupEntry(group: string): Readonly<Record<string, unknown>> {
  const version = { groupVersion: `${group}/${versionOf(group)}`, version: versionOf(group) };
  return { name: group, versions: [version], preferredVersion: version };
}

function aggregated(of: "core" | "groups"): unknown {
  const items = (of === "core" ? [""] : groups()).map((group) => ({
    metadata: { ...(group === "" ? {} : { name: group }), creationTimestamp: null },
    versions: [
      {
        version: versionOf(group),
        freshness: "Current",
        resources: [...kindsOf(group).map(aggregatedResource), ...reviewsOf(group).map(aggregatedReview)],
      },
    ],
  }));
  return { kind: "APIGroupDiscoveryList", apiVersion: "apidiscovery.k8s.io/v2", metadata: {}, items };
}

function kindsOf(group: string): readonly Kind[] {
  return KINDS.filter((kind) => kind.type.group === group);
}

function reviewsOf(group: string): readonly (readonly [string, string])[] {
  return REVIEWS[group] ?? [];
}

function aggregatedResource(kind: Kind): unknown {
  const { type } = kind;
  const subresources = type.subresources.map((subresource) => ({
    subresource,
    responseKind:
      subresource === "scale" ? { group: "autoscaling", version: "v1", kind: "Scale" } : responseKind(kind),
    verbs: SUBRESOURCE_VERBS[subresource],
  }));
  return {
    resource: type.plural,
    responseKind: responseKind(kind),
    scope: type.isNamespaced ? "Namespaced" : "Cluster",
    singularResource: type.singular,
    verbs: VERBS,
    ...(type.shortNames.length > 0 ? { shortNames: type.shortNames } : {}),
    ...(kind.isInAll ? { categories: ["all"] } : {}),
    ...(subresources.length > 0 ? { subresources } : {}),
  };
}

function aggregatedReview([resource, kind]: readonly [string, string]): unknown {
  const singularResource = kind.toLowerCase();
  return {
    resource,
    responseKind: { group: "", version: "", kind },
    scope: "Cluster",
    singularResource,
    verbs: ["create"],
  };
}

function responseKind({ type }: Kind): unknown {
  return { group: type.group, version: type.version, kind: type.kind };
}

function legacyResources(group: string, version: string): readonly unknown[] {
  if (versionOf(group) !== version) return [];
  const stored = kindsOf(group).flatMap((kind) => {
    const { type } = kind;
    const main = {
      name: type.plural,
      singularName: type.singular,
      namespaced: type.isNamespaced,
      kind: type.kind,
      verbs: VERBS,
      ...(type.shortNames.length > 0 ? { shortNames: type.shortNames } : {}),
      ...(kind.isInAll ? { categories: ["all"] } : {}),
    };
    const inner = type.subresources.map((subresource) => ({
      name: `${type.plural}/${subresource}`,
      singularName: "",
      namespaced: type.isNamespaced,
      ...(subresource === "scale" ? { group: "autoscaling", version: "v1" } : {}),
      kind: subresource === "scale" ? "Scale" : type.kind,
      verbs: SUBRESOURCE_VERBS[subresource],
    }));
    return [main, ...inner];
  });
  const reviews = reviewsOf(group).map(([name, kind]) => ({
    name,
    singularName: kind.toLowerCase(),
    namespaced: false,
    kind,
    verbs: ["create"],
  }));
  return [...stored, ...reviews];
}

function notServed(): Error {
  return apiError(404, "NotFound", "the server could not find the requested resource", {});
}
