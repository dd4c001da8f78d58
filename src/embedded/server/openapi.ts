// OpenAPI v3 as kubectl needs it before it writes: one document per group version, saying that the server validates fields itself.
import { apiVersionOf } from "../../api/api.ts";
import { type Answer, answerJson } from "./answer.ts";
import { groupVersions } from "./discovery.ts";
import { apiError } from "./errors.ts";
import { KINDS, type Kind } from "./kinds.ts";

/** Answers /openapi/v3 (`path` empty) and /openapi/v3/PATH; 404 for documents that are not there. */
export function openApiAnswer(path: string): Answer {
  const names = groupVersions().map((groupVersion) => ({ groupVersion, path: pathOf(groupVersion) }));
  if (path === "") {
    const paths = names.map(({ path: own }) => [own, { serverRelativeURL: `/openapi/v3/${own}` }]);
    return answerJson(200, { paths: Object.fromEntries(paths) });
  }
  const found = names.find((name) => name.path === path);
  if (found === undefined)
    throw apiError(
      404,
      "NotFound",
      `there is no OpenAPI document for ${path}; /openapi/v3 lists those there are`,
      {},
    );
  const kinds = KINDS.filter((kind) => apiVersionOf(kind.type) === found.groupVersion);
  return answerJson(200, documentOf(found.path, kinds));
}

function pathOf(groupVersion: string): string {
  return groupVersion.includes("/") ? `apis/${groupVersion}` : `api/${groupVersion}`;
}

function documentOf(root: string, kinds: readonly Kind[]): unknown {
  return {
    openapi: "3.0.0",
    info: { title: "weir", version: "v1.36.0+weir" },
    paths: Object.fromEntries(kinds.map((kind) => [pathOfKind(root, kind), operations(kind)])),
    components: { schemas: Object.fromEntries(kinds.map((kind) => [schemaName(kind), schemaOf(kind)])) },
  };
}

function pathOfKind(root: string, { type }: Kind): string {
  return `/${root}/${type.isNamespaced ? "namespaces/{namespace}/" : ""}${type.plural}/{name}`;
}

function operations(kind: Kind): unknown {
  const patch = {
    "x-kubernetes-action": "patch",
    "x-kubernetes-group-version-kind": groupVersionKind(kind),
    parameters: ["dryRun", "fieldManager", "fieldValidation"].map((name) => ({
      name,
      in: "query",
      schema: { type: "string" },
    })),
    responses: {},
  };
  return { patch };
}

/** The kind without its fields: what `kubectl explain` can name. */
function schemaOf(kind: Kind): unknown {
  return {
    type: "object",
    description: `${kind.type.kind} of ${apiVersionOf(kind.type)}; this server publishes no field descriptions.`,
    "x-kubernetes-group-version-kind": [groupVersionKind(kind)],
    properties: {
      apiVersion: { type: "string" },
      kind: { type: "string" },
      metadata: { type: "object" },
      spec: { type: "object" },
      status: { type: "object" },
    },
  };
}

function schemaName({ type }: Kind): string {
  return `${(type.group === "" ? "core" : type.group).split(".").reverse().join(".")}.${type.version}.${type.kind}`;
}

function groupVersionKind({ type }: Kind): unknown {
  return { group: type.group, version: type.version, kind: type.kind };
}
