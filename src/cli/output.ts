// `-o json|yaml|name`: objects as the API has them, for programs, in the shape that kubectl prints.
import { type Command, Option } from "commander";
import { stringify } from "yaml";
import type { KubeObject, ResourceType } from "../api/api.ts";
import type { Cli } from "./cli.ts";

export interface OutputFlags {
  readonly output?: "json" | "yaml" | "name";
}

/** Adds the flag. */
export function withOutputFlag(command: Command): Command {
  return command.addOption(
    new Option("-o, --output <format>", "json, yaml or name: the objects themselves, for programs").choices([
      "json",
      "yaml",
      "name",
    ]),
  );
}

/** Prints one object. */
export function printObject(
  cli: Cli,
  type: ResourceType,
  object: KubeObject,
  format: NonNullable<OutputFlags["output"]>,
): void {
  if (format === "name") cli.out(nameOf(type, object));
  else printValue(cli, withoutManagedFields(object), format);
}

/** Prints a list of objects; an empty one is a list too. */
export function printList(
  cli: Cli,
  type: ResourceType,
  items: readonly KubeObject[],
  format: NonNullable<OutputFlags["output"]>,
): void {
  if (format === "name") {
    for (const item of items) cli.out(nameOf(type, item));
    return;
  }
  const list = { apiVersion: "v1", items: items.map(withoutManagedFields), kind: "List" };
  printValue(cli, { ...list, metadata: { resourceVersion: "" } }, format);
}

function printValue(cli: Cli, value: unknown, format: "json" | "yaml"): void {
  const text =
    format === "json"
      ? JSON.stringify(value, undefined, 4)
      : stringify(value, { aliasDuplicateObjects: false, lineWidth: 0 });
  cli.out(text.trimEnd());
}

/** As `kubectl -o name` has it: what other commands take. */
function nameOf({ singular, group }: ResourceType, { metadata }: KubeObject): string {
  return `${singular}${group === "" ? "" : `.${group}`}/${metadata.name}`;
}

/** Who wrote which field is nobody's question here, and is long. */
function withoutManagedFields(object: KubeObject): KubeObject {
  const { managedFields: _left, ...metadata } = { managedFields: undefined, ...object.metadata };
  return { ...object, metadata };
}
