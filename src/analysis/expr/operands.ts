// The operands of the grammar: literals, names, calls, closures, lists and maps, and the `.name`, `[index]` and `[from:to]` that
// may follow one. What stands between operands is the parser's.

import type { Node, UnaryOperator } from "./ast.ts";
import { CLOSURES } from "./closures.ts";
import type { Cursor } from "./cursor.ts";
import { describeToken, isNameChar, type Token } from "./lexer.ts";
import { numberNode } from "./literals.ts";
import { BUILTIN_NAMES } from "./names.ts";
import { own } from "./own.ts";

const UNARY: Readonly<Record<string, number>> = { not: 50, "!": 50, "-": 90, "+": 90 };

export abstract class OperandParser {
  protected readonly cursor: Cursor;
  readonly #overridden: ReadonlySet<string>;
  #predicateDepth = 0;

  constructor(cursor: Cursor, overridden: ReadonlySet<string>) {
    this.cursor = cursor;
    this.#overridden = overridden;
  }

  protected abstract sequence(): Node;
  protected abstract expression(precedence: number): Node;

  protected primary(): Node {
    const { cursor } = this;
    const token = cursor.current();
    const unary = token.kind === "Operator" ? UNARY[token.value] : undefined;
    if (unary !== undefined) {
      cursor.next();
      const node = this.expression(unary);
      // Only the four names of UNARY get here.
      const operator = token.value as UnaryOperator;
      return this.#postfix(cursor.make({ kind: "unary", operator, node }, token.at));
    }
    if (cursor.is("Bracket", "(")) {
      cursor.next();
      const node = this.sequence();
      cursor.expect("Bracket", ")");
      return this.#postfix(node);
    }
    if (this.#predicateDepth > 0 && (cursor.is("Operator", "#") || cursor.is("Operator", "."))) {
      // A leading `.` is the element itself, its field follows as a postfix.
      const hasName = cursor.is("Operator", "#") && cursor.next() !== undefined && cursor.is("Identifier");
      const name = hasName ? cursor.next().value : "";
      return this.#postfix(cursor.make({ kind: "pointer", name }, token.at));
    }
    if (cursor.is("Operator", "::")) {
      cursor.next();
      return this.#postfix(this.call(cursor.expect("Identifier"), [], true));
    }
    return this.#secondary(token);
  }

  #secondary(token: Token): Node {
    const { cursor } = this;
    const { value, at } = token;
    switch (token.kind) {
      case "Identifier":
        cursor.next();
        if (value === "true" || value === "false")
          return cursor.make({ kind: "bool", value: value === "true" }, at);
        if (value === "nil") return cursor.make({ kind: "nil" }, at);
        if (cursor.is("Bracket", "(")) return this.#postfix(this.call(token, []));
        return this.#postfix(cursor.make({ kind: "identifier", name: value }, at));
      case "Number":
        cursor.next();
        return numberNode(cursor, token);
      case "String":
        cursor.next();
        return this.#postfix(cursor.make({ kind: "string", value }, at));
      case "Bytes":
        cursor.next();
        return this.#postfix(cursor.make({ kind: "bytes", value }, at));
      case "Operator":
      case "Bracket":
      case "EOF":
        if (cursor.is("Bracket", "[")) return this.#postfix(this.#array());
        if (cursor.is("Bracket", "{")) return this.#postfix(this.#map());
        return cursor.unexpected();
    }
  }

  /** A call of the name just read; `first`: what a pipe hands in. */
  protected call(token: Token, first: readonly Node[], isBuiltin = false): Node {
    const { value: name, at } = token;
    const isOverridden = !isBuiltin && this.#overridden.has(name);
    const closure = isOverridden ? undefined : own(CLOSURES, name);
    if (closure !== undefined) return this.#closureCall(token, closure.shape, first);
    if (!isOverridden && BUILTIN_NAMES.has(name))
      return this.cursor.make({ kind: "builtin", name, args: this.#arguments(first) }, at);
    const callee = this.cursor.make({ kind: "identifier", name }, at);
    return this.cursor.make({ kind: "call", callee, args: this.#arguments(first) }, at);
  }

  #closureCall(token: Token, shape: readonly string[], first: readonly Node[]): Node {
    const { cursor } = this;
    const args = [...first];
    cursor.expect("Bracket", "(");
    const rest = shape.slice(first.length);
    for (const [index, parameter] of rest.entries()) {
      if (cursor.is("Bracket", ")")) {
        if (parameter.endsWith("?")) break;
        cursor.fail(`expected at least ${rest.length} arguments`);
      }
      if (index > 0) cursor.expect("Operator", ",");
      args.push(parameter.startsWith("p") ? this.#predicate() : this.expression(0));
    }
    if (cursor.is("Operator", ",")) cursor.next();
    cursor.expect("Bracket", ")");
    return cursor.make({ kind: "builtin", name: token.value, args }, token.at);
  }

  #predicate(): Node {
    const { cursor } = this;
    const { at } = cursor.current();
    const isBraced = cursor.is("Bracket", "{");
    if (isBraced) cursor.next();
    this.#predicateDepth += 1;
    const node = isBraced ? this.sequence() : this.expression(0);
    if (!isBraced && cursor.is("Operator", ";")) cursor.fail("wrap predicate with brackets { and }");
    this.#predicateDepth -= 1;
    if (isBraced) cursor.expect("Bracket", "}");
    return cursor.make({ kind: "predicate", node }, at);
  }

  #arguments(first: readonly Node[]): readonly Node[] {
    this.cursor.expect("Bracket", "(");
    const rest = this.#list(")");
    return [...first, ...rest];
  }

  #array(): Node {
    const { at } = this.cursor.next();
    return this.cursor.make({ kind: "array", nodes: this.#list("]") }, at);
  }

  /** Expressions between commas up to the closing bracket; one comma may follow the last. */
  #list(close: string): readonly Node[] {
    const { cursor } = this;
    const nodes: Node[] = [];
    while (!cursor.is("Bracket", close)) {
      if (nodes.length > 0) cursor.expect("Operator", ",");
      if (nodes.length > 0 && cursor.is("Bracket", close)) break;
      nodes.push(this.expression(0));
    }
    cursor.next();
    return nodes;
  }

  #map(): Node {
    const { cursor } = this;
    const { at } = cursor.next();
    const pairs: { readonly key: Node; readonly value: Node }[] = [];
    while (!cursor.is("Bracket", "}")) {
      if (pairs.length > 0) cursor.expect("Operator", ",");
      if (pairs.length > 0 && cursor.is("Bracket", "}")) break;
      if (pairs.length > 0 && cursor.is("Operator", ",")) cursor.unexpected();
      const key = this.#mapKey();
      cursor.expect("Operator", ":");
      const value = this.expression(0);
      pairs.push({ key, value });
      // The reference has a node for the pair, and its bound counts it.
      cursor.make({ kind: "nil" }, at);
    }
    cursor.next();
    return cursor.make({ kind: "map", pairs }, at);
  }

  #mapKey(): Node {
    const { cursor } = this;
    const token = cursor.current();
    if (token.kind === "Number" || token.kind === "String" || token.kind === "Identifier")
      return cursor.make({ kind: "string", value: cursor.next().value }, token.at);
    if (cursor.is("Bracket", "(")) return this.expression(0);
    return cursor.fail(
      `a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses (unexpected token ${describeToken(token)})`,
    );
  }

  #postfix(first: Node): Node {
    const { cursor } = this;
    let node = first;
    for (;;) {
      const isOptional = cursor.is("Operator", "?.");
      if (isOptional || cursor.is("Operator", ".")) {
        cursor.next();
        node =
          isOptional && cursor.is("Bracket", "[") ? this.#index(node, true) : this.#field(node, isOptional);
      } else if (cursor.is("Bracket", "[")) {
        node = this.#index(node, false);
      } else {
        return node;
      }
    }
  }

  #field(base: Node, isOptional: boolean): Node {
    const { cursor } = this;
    const token = cursor.next();
    const { at } = token;
    // Operators that are words may name a field: result.not
    if (token.kind !== "Identifier" && !(token.kind === "Operator" && isWord(token.value)))
      cursor.fail("expected name");
    const isChain = base.kind === "chain";
    const property = cursor.make({ kind: "string", value: token.value }, at);
    const isMethod = cursor.is("Bracket", "(");
    const inner = isChain ? base.node : base;
    const member = cursor.make({ kind: "member", node: inner, property, isOptional, isMethod }, at);
    const node: Node = isMethod
      ? cursor.make({ kind: "call", callee: member, args: this.#arguments([]) }, at)
      : member;
    return isChain || isOptional ? cursor.make({ kind: "chain", node }, at) : node;
  }

  #index(base: Node, isOptional: boolean): Node {
    const { cursor } = this;
    const { at } = cursor.next();
    const end = (): Node | undefined => (cursor.is("Bracket", "]") ? undefined : this.expression(0));
    const slice = (from: Node | undefined): Node => {
      cursor.next();
      const to = end();
      cursor.expect("Bracket", "]");
      return cursor.make({ kind: "slice", node: base, from, to }, at);
    };
    if (cursor.is("Operator", ":")) return slice(undefined);
    const property = this.expression(0);
    if (cursor.is("Operator", ":")) return slice(property);
    cursor.expect("Bracket", "]");
    const node = cursor.make({ kind: "member", node: base, property, isOptional, isMethod: false }, at);
    return isOptional ? cursor.make({ kind: "chain", node }, at) : node;
  }
}

function isWord(text: string): boolean {
  return Array.from(text).every(isNameChar);
}
