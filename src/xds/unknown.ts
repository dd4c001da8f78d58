// Walks decoded messages, also through the Anys that the registry knows, and names what it finds by path: fields that the schema does
// not know (`virtual_hosts[0].routes[2].route.#37`). Pure. A configuration that holds such a field asks for something we cannot do.
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { reflect } from "@bufbuild/protobuf/reflect";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { assertNever } from "../lib/assert.ts";
import { messageOf } from "../lib/errors.ts";
import { typeNameOf, unpackKnown } from "./messages.ts";

/** What a visitor wants done with a field that is set: look inside (when it holds messages) or leave it. */
export type Descent = "into" | "over";

export interface Visitor {
  /** A field that is set. */
  field(path: string, field: DescField, message: ReflectMessage): Descent;
  /** A field number that the schema does not know. */
  unknown?(path: string): void;
  /** An Any whose type the registry does not know, or whose bytes do not decode (`why`). */
  opaque?(path: string, typeName: string, why?: string): void;
}

/** Paths of all fields in `message` that its schema does not know, in the order found. Anys of unknown type are not looked into. */
export function unknownFieldPaths(schema: DescMessage, message: Message): readonly string[] {
  const paths: string[] = [];
  visit(schema, message, { field: () => "into", unknown: (path) => void paths.push(path) });
  return paths;
}

/** Shows `visitor` every set field of a message, depth first; paths are relative to it. */
export function visit(schema: DescMessage, message: Message, visitor: Visitor): void {
  visitMessage(reflect(schema, message), "", visitor);
}

function visitMessage(message: ReflectMessage, at: string, visitor: Visitor): void {
  for (const { no } of message.getUnknown() ?? []) visitor.unknown?.(join(at, `#${no}`));
  if (message.desc.typeName === AnySchema.typeName) {
    visitAny(message, at, visitor);
    return;
  }
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    const path = join(at, field.name);
    if (visitor.field(path, field, message) === "into") visitField(message, field, path, visitor);
  }
}

function visitField(message: ReflectMessage, field: DescField, path: string, visitor: Visitor): void {
  switch (field.fieldKind) {
    case "message":
      visitMessage(message.get(field), path, visitor);
      return;
    case "list": {
      if (field.listKind !== "message") return;
      let index = 0;
      for (const item of message.get(field)) {
        // `listKind` above says that the items are messages; the iterator's type does not follow it.
        visitMessage(item as ReflectMessage, `${path}[${index}]`, visitor);
        index += 1;
      }
      return;
    }
    case "map": {
      if (field.mapKind !== "message") return;
      for (const [key, value] of message.get(field)) {
        // As above, by `mapKind`.
        visitMessage(value as ReflectMessage, `${path}[${JSON.stringify(key)}]`, visitor);
      }
      return;
    }
    case "scalar":
    case "enum":
      return;
    default:
      assertNever(field);
  }
}

function visitAny(message: ReflectMessage, at: string, visitor: Visitor): void {
  // The caller has checked that the descriptor is Any's.
  const any = message.message as Any;
  const typeName = typeNameOf(any);
  let known: ReturnType<typeof unpackKnown>;
  try {
    known = unpackKnown(any);
  } catch (error) {
    visitor.opaque?.(at, typeName, messageOf(error));
    return;
  }
  if (known === undefined) visitor.opaque?.(at, typeName);
  else visitMessage(reflect(known.schema, known.message), at, visitor);
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
