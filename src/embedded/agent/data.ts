// The data of ConfigMaps and Secrets, decoded: as text for variables, as bytes for files.
import type { KubeObject } from "../../api/api.ts";
import { isObject } from "../../lib/json.ts";

/** Decodes the data of a ConfigMap or Secret object. */
export function dataOf(object: KubeObject): Readonly<Record<string, string>> {
  const data = isObject(object.data) ? object.data : {};
  const isSecret = object.kind === "Secret";
  return Object.fromEntries(
    Object.entries(data).map(([key, value]) => [
      key,
      isSecret ? Buffer.from(String(value), "base64").toString("utf8") : String(value),
    ]),
  );
}

/** The same as bytes, with a ConfigMap's binaryData. */
export function filesOf(object: KubeObject): Readonly<Record<string, Uint8Array>> {
  const isSecret = object.kind === "Secret";
  const decode = (source: unknown, encoding: "utf8" | "base64"): [string, Uint8Array][] =>
    Object.entries(isObject(source) ? source : {}).map(([key, value]) => [
      key,
      Buffer.from(String(value), encoding),
    ]);
  return Object.fromEntries([
    ...decode(object.data, isSecret ? "base64" : "utf8"),
    ...decode(object.binaryData, "base64"),
  ]);
}
