// OpenAPI as kubectl needs it before it writes. v3: one document per group version, saying that the server validates fields itself.
// v2: a document without definitions; kubectl asks for it before it takes a `kind: List` apart.
import { apiVersionOf } from "../../api/api.ts";
import { type Answer, answerBytes, answerJson } from "./answer.ts";
import { groupVersions } from "./discovery.ts";
import { apiError } from "./errors.ts";
import { KINDS, type Kind } from "./kinds.ts";

const TITLE = "weir";
const VERSION = "v1.36.0+weir";

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

// The type that clients ask for has an "@" where this has a dot: Go refuses to read that as a media type.
const V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/** Answers /openapi/v2, in JSON or in the protobuf that client-go insists on. */
export function openApiV2Answer(accept: string): Answer {
  if (!accept.includes("proto-openapi.spec.v2"))
    return answerJson(200, { swagger: "2.0", info: { title: TITLE, version: VERSION }, paths: {} });
  // gnostic openapi.v2.Document: 1 swagger, 2 info (1 title, 2 version).
  const text = (field: number, value: Uint8Array): Uint8Array =>
    Buffer.concat([Buffer.from([field * 8 + 2, value.length]), value]);
  const info = Buffer.concat([text(1, Buffer.from(TITLE)), text(2, Buffer.from(VERSION))]);
  return answerBytes(200, Buffer.concat([text(1, Buffer.from("2.0")), text(2, info)]), V2_PROTOBUF);
}

function pathOf(groupVersion: string): string {
  return groupVersion.includes("/") ? `apis/${groupVersion}` : `api/${groupVersion}`;
}

function documentOf(root: string, kinds: readonly Kind[]): unknown {
  return {
    openapi: "3.0.0",
    info: { title: TITLE, version: VERSION },
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
