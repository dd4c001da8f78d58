// Holds JSON against the Go structs that it must decode into: fields they lack, values of the wrong type. For pod templates,
// whose zod schema names only what weir reads.
import { isObject } from "../lib/json.ts";
import { canonicalQuantity } from "../lib/quantity.ts";
import { type Finding, type Path, unknownField } from "./decode.ts";
import { goFields } from "./gojson.ts";

export interface GoFindings {
  /** Values that Go would refuse. */
  readonly mistyped: readonly Finding[];
  /** Fields that the structs lack. */
  readonly unknown: readonly Finding[];
}

interface Pass {
  readonly mistyped: Finding[];
  readonly unknown: Finding[];
}

const EXPECTED: Readonly<Record<string, string>> = {
  s: "a string",
  b: "true or false",
  i: "an integer",
  q: "a quantity such as 100m or 1Gi",
  t: "an RFC 3339 time",
  x: "an integer or a string",
};

/** What Go would hold against `value` as the struct `type`; `path` is where it stands. */
export function goFindings(type: string, value: unknown, path: Path): GoFindings {
  const pass: Pass = { mistyped: [], unknown: [] };
  check(type, value, path, pass);
  return pass;
}

function check(type: string, value: unknown, path: Path, pass: Pass): void {
  if (value === undefined || value === null || type === "r") return;
  const inner = type.slice(1);
  if (type[0] === "*") check(inner, value, path, pass);
  else if (type[0] === "[") checkList(inner, value, path, pass);
  else if (EXPECTED[type] === undefined) checkFields(type, value, path, pass);
  else if (!fits(type, value)) mistyped(value, EXPECTED[type], path, pass);
}

function checkList(type: string, value: unknown, path: Path, pass: Pass): void {
  if (!Array.isArray(value)) mistyped(value, "a list", path, pass);
  else for (const [index, item] of value.entries()) check(type, item, [...path, index], pass);
}

/** A struct or, with `{` before the type of its values, a map. */
function checkFields(type: string, value: unknown, path: Path, pass: Pass): void {
  const isMap = type[0] === "{";
  if (!isObject(value)) {
    mistyped(value, isMap ? "a map" : "an object", path, pass);
    return;
  }
  const fields = isMap ? undefined : goFields(type);
  for (const [key, item] of Object.entries(value)) {
    const at = [...path, key];
    const fieldType = fields === undefined ? type.slice(1) : fields.get(key);
    if (fieldType !== undefined) check(fieldType, item, at, pass);
    else pass.unknown.push(unknownField(at, value, fields?.keys() ?? [], "Kubernetes"));
  }
}

function fits(type: string, value: unknown): boolean {
  switch (type) {
    case "s":
      return typeof value === "string";
    case "b":
      return typeof value === "boolean";
    case "i":
      return Number.isInteger(value);
    case "q":
      return (
        (typeof value === "string" || typeof value === "number") &&
        canonicalQuantity(String(value)) !== undefined
      );
    case "t":
      return typeof value === "string" && !Number.isNaN(Date.parse(value));
    default:
      return typeof value === "string" || Number.isInteger(value);
  }
}

function mistyped(value: unknown, expected: string, path: Path, pass: Pass): void {
  const shown = Array.isArray(value) ? "a list" : isObject(value) ? "an object" : JSON.stringify(value);
  pass.mistyped.push({ path, message: `is ${shown}, expected ${expected}` });
}
