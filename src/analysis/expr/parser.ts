// Pratt parser of the condition language: the whole grammar of expr-lang/expr v1.17. Precedences, and that `??` takes no other
// operator on its right unbracketed, are the reference's.
import type { Node } from "./ast.ts";
import { Cursor, type Locations } from "./cursor.ts";
import type { Token } from "./lexer.ts";
import { OperandParser } from "./operands.ts";

/** Bound of weir's own, because the parser recurses: nesting in the text. */
export const MAX_NESTING = 500;

const BINARY: Readonly<Record<string, number>> = {
  "|": 0,
  or: 10,
  "||": 10,
  and: 15,
  "&&": 15,
  "==": 20,
  "!=": 20,
  "<": 20,
  ">": 20,
  ">=": 20,
  "<=": 20,
  in: 20,
  matches: 20,
  contains: 20,
  startsWith: 20,
  endsWith: 20,
  "..": 25,
  "+": 30,
  "-": 30,
  "*": 60,
  "/": 60,
  "%": 60,
  "**": 100,
  "^": 100,
  "??": 500,
};
const RIGHT_ASSOCIATIVE = new Set(["**", "^"]);
const COMPARISONS = new Set(["<", ">", ">=", "<="]);
const NEGATABLE = new Set(["contains", "matches", "startsWith", "endsWith", "in"]);

export interface Parsed {
  readonly root: Node;
  readonly locations: Locations;
}

/** The tree of a condition; throws ConditionError. `overridden`: names of the environment that win over builtins. */
export function parse(text: string, overridden: ReadonlySet<string>): Parsed {
  const cursor = new Cursor(text);
  return { root: new Parser(cursor, overridden).parse(), locations: cursor.locations };
}

class Parser extends OperandParser {
  #depth = 0;

  parse(): Node {
    const node = this.sequence();
    if (this.cursor.current().kind !== "EOF") this.cursor.unexpected();
    return node;
  }

  protected override sequence(): Node {
    const { cursor } = this;
    const first = this.expression(0);
    const nodes = [first];
    while (cursor.is("Operator", ";")) {
      cursor.next();
      if (cursor.is("EOF")) break;
      nodes.push(this.expression(0));
    }
    if (nodes.length === 1) return first;
    return cursor.make({ kind: "sequence", nodes }, cursor.locations.get(first) ?? 0);
  }

  protected override expression(precedence: number): Node {
    const { cursor } = this;
    this.#depth += 1;
    if (this.#depth > MAX_NESTING)
      cursor.fail(`compilation failed: expression is nested deeper than ${MAX_NESTING} levels`);
    try {
      if (precedence === 0 && cursor.is("Operator", "let")) return this.#declaration();
      if (precedence === 0 && cursor.is("Operator", "if")) return this.#ifElse();
      const node = this.#operators(this.primary(), precedence);
      return precedence === 0 ? this.#ternary(node) : node;
    } finally {
      this.#depth -= 1;
    }
  }

  #operators(first: Node, precedence: number): Node {
    const { cursor } = this;
    let left = first;
    let previous = "";
    while (cursor.is("Operator")) {
      const isNegated = cursor.is("Operator", "not");
      const token = cursor.current(isNegated ? 1 : 0);
      const operator = token.value;
      if (isNegated && !NEGATABLE.has(operator)) {
        cursor.next();
        cursor.unexpected();
      }
      const own = BINARY[operator];
      if (own === undefined || own < precedence) break;
      if (isNegated) cursor.next();
      cursor.next();
      if (operator === "|") {
        left = this.call(cursor.expect("Identifier"), [left]);
      } else if (previous === "??" && operator !== "??") {
        cursor.fail(
          `Operator (${operator}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses.`,
          token,
        );
      } else if (COMPARISONS.has(operator)) {
        left = this.#comparison(left, token, own);
      } else {
        const right = this.expression(RIGHT_ASSOCIATIVE.has(operator) ? own : own + 1);
        left = cursor.make({ kind: "binary", operator, left, right }, token.at);
        if (isNegated) left = cursor.make({ kind: "unary", operator: "not", node: left }, token.at);
      }
      previous = operator;
    }
    return left;
  }

  /** `1 < 2 < 3` is `1 < 2 && 2 < 3`. */
  #comparison(first: Node, firstToken: Token, precedence: number): Node {
    const { cursor } = this;
    let left = first;
    let token = firstToken;
    let root: Node | undefined;
    for (;;) {
      const right = this.expression(precedence + 1);
      const link = cursor.make({ kind: "binary", operator: token.value, left, right }, token.at);
      root =
        root === undefined
          ? link
          : cursor.make({ kind: "binary", operator: "&&", left: root, right: link }, token.at);
      left = right;
      if (!cursor.is("Operator") || !COMPARISONS.has(cursor.current().value)) return root;
      token = cursor.next();
    }
  }

  #declaration(): Node {
    const { cursor } = this;
    cursor.next();
    const name = cursor.expect("Identifier");
    cursor.expect("Operator", "=");
    const value = this.expression(0);
    cursor.expect("Operator", ";");
    return cursor.make({ kind: "let", name: name.value, value, body: this.sequence() }, name.at);
  }

  #ifElse(): Node {
    const { cursor } = this;
    const { at } = cursor.next();
    const condition = this.expression(0);
    const consequent = this.#block();
    cursor.expect("Operator", "else");
    const otherwise = cursor.is("Operator", "if") ? this.#ifElse() : this.#block();
    return cursor.make({ kind: "conditional", condition, consequent, otherwise }, at);
  }

  #block(): Node {
    this.cursor.expect("Bracket", "{");
    const node = this.sequence();
    this.cursor.expect("Bracket", "}");
    return node;
  }

  #ternary(condition: Node): Node {
    const { cursor } = this;
    let node = condition;
    while (cursor.is("Operator", "?")) {
      const { at } = cursor.next();
      // `a ?: b` is `a ? a : b`.
      const consequent = cursor.is("Operator", ":") ? node : this.expression(0);
      cursor.expect("Operator", ":");
      const otherwise = this.expression(0);
      node = cursor.make({ kind: "conditional", condition: node, consequent, otherwise }, at);
    }
    return node;
  }
}
