// The data of ConfigMaps and Secrets, decoded.
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
