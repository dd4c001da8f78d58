// Field errors as Kubernetes words them: `<field>: <type>: <value>: <detail>`. Source: apimachinery util/validation/field.
import { formatPath, type Path } from "./decode.ts";
import { goJson } from "./gojson.ts";

export type FieldErrorType =
  | "Required value"
  | "Invalid value"
  | "Unsupported value"
  | "Duplicate value"
  | "Not found"
  | "Forbidden"
  | "Internal error";

export interface FieldError {
  readonly type: FieldErrorType;
  /** Where the value really stands. */
  readonly path: Path;
  /** The place as Argo spells it, which leaves out `canary` and `blueGreen`: clients compare the text. */
  readonly field: string;
  /** The value as it is printed. */
  readonly value?: string;
  readonly detail: string;
  /** It is about the key at the end of the path, not about the value. */
  readonly isKey?: true;
  /** What lint says to do about it, where the words that clients compare do not tell. */
  readonly mend?: string;
}

/** `spec.strategy.steps[0].setWeight: Invalid value: 101: SetWeight needs to be between 0 and 100`. */
export function fieldErrorText({ type, field, value, detail }: FieldError): string {
  return [field, type, value, detail].filter((part) => part !== undefined && part !== "").join(": ");
}

export function required(path: Path, detail = "", field = argoField(path)): FieldError {
  return { type: "Required value", path, field, detail };
}

export function invalid(path: Path, value: string, detail: string, field = argoField(path)): FieldError {
  return { type: "Invalid value", path, field, value, detail };
}

export function duplicate(path: Path, value: string): FieldError {
  return { type: "Duplicate value", path, field: argoField(path), value: quoted(value), detail: "" };
}

export function notFound(path: Path, value: string): FieldError {
  return { type: "Not found", path, field: argoField(path), value: quoted(value), detail: "" };
}

export function unsupported(path: Path, value: string, supported: readonly string[]): FieldError {
  const detail = `supported values: ${supported.map(quoted).join(", ")}`;
  return { type: "Unsupported value", path, field: argoField(path), value: quoted(value), detail };
}

export function forbidden(path: Path, detail: string): FieldError {
  return { type: "Forbidden", path, field: argoField(path), detail };
}

export function internalError(path: Path, detail: string): FieldError {
  return { type: "Internal error", path, field: argoField(path), detail };
}

/** A string in the quotes of a field error. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

/** A struct of Go, or null, as a field error prints it. */
export function printed(type: string, value: unknown): string {
  return value === undefined ? "null" : goJson(type, value);
}

/** Argo's sentence for a pair of services that is one. */
export function sameServices(roles: string): string {
  return `This rollout uses the same service for the ${roles} services, but two different services are required.`;
}

/** Argo's sentence for a field that must be there. */
export function missingField(field: string): string {
  return `Rollout has missing field '${field}'`;
}

function argoField(path: Path): string {
  const isStrategy = path[0] === "spec" && path[1] === "strategy" && path.length > 3;
  const isNamed = path[2] === "canary" || path[2] === "blueGreen";
  return formatPath(isStrategy && isNamed ? [...path.slice(0, 2), ...path.slice(3)] : path);
}
