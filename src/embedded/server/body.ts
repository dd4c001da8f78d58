// Request bodies: JSON within a bound, patches by their content type, everything else refused with what to do instead.

import { isWeirError, messageOf } from "../../lib/errors.ts";
import { isObject } from "../../lib/json.ts";
import { applyJsonPatch, applyMergePatch, type JsonPatchOperation, PATCH_FAILED } from "../../lib/patch.ts";
import { apiError, badRequest, unsupportedMediaType } from "./errors.ts";
import type { Json } from "./fields.ts";
import type { Kind } from "./kinds.ts";
import { applyStrategicPatch } from "./strategic.ts";

/** Bound of a request body, as in Kubernetes. */
export const MAX_BODY_BYTES = 3 * 1024 * 1024;

/** Whether a body is in the format that Go clients write built-in kinds in. */
export function isProtobuf(contentType: string): boolean {
  return mediaType(contentType) === "application/vnd.kubernetes.protobuf";
}

/** Parses the body of a POST or PUT. */
export function parseObject(body: string | undefined, contentType: string): Json {
  checkJson(contentType);
  const value = parseJson(body);
  if (!isObject(value)) throw badRequest("the body must be a JSON object");
  return value;
}

/** The body of a DELETE, which may be empty. */
export function parseOptional(body: string | undefined, contentType: string): Json {
  if (body === undefined || body === "") return {};
  checkJson(contentType);
  const value = parseJson(body);
  return isObject(value) ? value : {};
}

/** A function that applies the patch of a request to an object. */
export function parsePatch(
  kind: Kind,
  body: string | undefined,
  contentType: string,
): (target: unknown) => unknown {
  const type = mediaType(contentType);
  switch (type) {
    case "application/merge-patch+json": {
      const patch = parseJson(body);
      if (!isObject(patch)) throw badRequest("a merge patch must be a JSON object");
      return (target) => applyMergePatch(target, patch);
    }
    case "application/json-patch+json": {
      const operations = parseJson(body);
      if (!isOperations(operations))
        throw badRequest("a JSON patch must be a list of operations with op and path");
      return (target) => applying(() => applyJsonPatch(target, operations));
    }
    case "application/strategic-merge-patch+json": {
      if (kind.isCustom)
        throw unsupportedMediaType(
          `strategic merge patch is not supported for ${kind.type.kind}, as for all custom resources: use a merge patch (kubectl patch --type merge)`,
        );
      const patch = parseJson(body);
      return (target) => applyStrategicPatch(kind.id, target, patch);
    }
    case "application/apply-patch+yaml":
    case "application/apply-patch+cbor":
      throw unsupportedMediaType(
        "server-side apply is not supported by this server: use client-side apply (kubectl apply without --server-side)",
      );
    default:
      throw unsupportedMediaType(
        `the patch type ${JSON.stringify(type)} is not supported: send application/merge-patch+json, application/json-patch+json, or for built-in kinds application/strategic-merge-patch+json`,
      );
  }
}

function checkJson(contentType: string): void {
  const type = mediaType(contentType);
  if (isProtobuf(contentType))
    throw unsupportedMediaType(
      "this server takes built-in kinds as protobuf, this one as JSON only: send application/json",
    );
  if (type !== "" && type !== "application/json" && type !== "*/*")
    throw unsupportedMediaType(`this server takes application/json only, not ${type}`);
}

function mediaType(contentType: string): string {
  return (contentType.split(";")[0] ?? "").trim().toLowerCase();
}

function parseJson(body: string | undefined): unknown {
  try {
    return JSON.parse(body ?? "");
  } catch (error) {
    throw badRequest(`the body is not JSON: ${messageOf(error)}`);
  }
}

function isOperations(value: unknown): value is readonly JsonPatchOperation[] {
  const isOperation = (item: unknown): boolean =>
    isObject(item) &&
    typeof item.op === "string" &&
    typeof item.path === "string" &&
    (item.from === undefined || typeof item.from === "string");
  return Array.isArray(value) && value.every(isOperation);
}

function applying(apply: () => unknown): unknown {
  try {
    return apply();
  } catch (error) {
    if (!isWeirError(error, PATCH_FAILED)) throw error;
    throw apiError(422, "Invalid", messageOf(error));
  }
}
