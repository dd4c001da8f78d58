// Pratt parser of the condition language: the whole grammar of expr-lang/expr v1.17, whatever of it the evaluator carries out.
// Precedences, and that `??` takes no other operator on its right unbracketed, are the reference's.
import { type BuiltinNode, childrenOf, type Node, type UnaryOperator } from "./ast.ts";
import { fail } from "./error.ts";
import { describeToken, isNameChar, type Token, type TokenKind, tokenize } from "./lexer.ts";
import { BUILTIN_NAMES } from "./names.ts";

/** Bound on the size of a tree, the reference's own. */
export const MAX_NODES = 10_000;
/** Bounds of weir's own, because parser, checker and evaluator recurse: nesting in the text, and depth of the tree. */
export const MAX_NESTING = 500;
export const MAX_TREE_DEPTH = 1000;

const UNARY: Readonly<Record<string, number>> = { not: 50, "!": 50, "-": 90, "+": 90 };
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

/** Arguments of the functions that take a closure: e an expression, p a closure, ? may be left out. */
const PREDICATES: Readonly<Record<string, readonly string[]>> = {
  all: ["e", "p"],
  none: ["e", "p"],
  any: ["e", "p"],
  one: ["e", "p"],
  filter: ["e", "p"],
  map: ["e", "p"],
  count: ["e", "p?"],
  sum: ["e", "p?"],
  find: ["e", "p"],
  findIndex: ["e", "p"],
  findLast: ["e", "p"],
  findLastIndex: ["e", "p"],
  groupBy: ["e", "p"],
  sortBy: ["e", "p", "e?"],
  reduce: ["e", "p", "e?"],
};

/** The tree of a condition; throws ConditionError. `overridden`: names of the environment that win over builtins. */
export function parse(text: string, overridden: ReadonlySet<string>): Node {
  return new Parser(tokenize(text), overridden).parse();
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #overridden: ReadonlySet<string>;
  #at = 0;
  #predicateDepth = 0;
  #depth = 0;
  #nodes = 0;
  readonly #depths = new Map<Node, number>();

  constructor(tokens: readonly Token[], overridden: ReadonlySet<string>) {
    this.#tokens = tokens;
    this.#overridden = overridden;
  }

  parse(): Node {
    const node = this.#sequence();
    if (this.#current().kind !== "EOF") this.#unexpected();
    return node;
  }

  #current(): Token {
    return this.#tokens[this.#at] ?? { kind: "EOF", value: "" };
  }

  #next(): Token {
    const token = this.#current();
    if (token.kind === "EOF") fail("unexpected end of expression");
    this.#at += 1;
    return token;
  }

  #is(kind: TokenKind, value?: string): boolean {
    const token = this.#current();
    return token.kind === kind && (value === undefined || token.value === value);
  }

  #expect(kind: TokenKind, value?: string): Token {
    if (!this.#is(kind, value)) this.#unexpected();
    return this.#next();
  }

  #unexpected(): never {
    fail(`unexpected token ${describeToken(this.#current())}`);
  }

  #make(node: Node): Node {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) fail("compilation failed: expression exceeds maximum allowed nodes");
    const below = childrenOf(node).map((child) => this.#depths.get(child) ?? 0);
    const depth = 1 + Math.max(0, ...below);
    if (depth > MAX_TREE_DEPTH)
      fail(`compilation failed: expression has more than ${MAX_TREE_DEPTH} operators in a row`);
    this.#depths.set(node, depth);
    return node;
  }

  #sequence(): Node {
    const nodes = [this.#expression(0)];
    while (this.#is("Operator", ";")) {
      this.#next();
      if (this.#is("EOF")) break;
      nodes.push(this.#expression(0));
    }
    const [only] = nodes;
    return nodes.length === 1 && only !== undefined ? only : this.#make({ kind: "sequence", nodes });
  }

  #expression(precedence: number): Node {
    this.#depth += 1;
    if (this.#depth > MAX_NESTING)
      fail(`compilation failed: expression is nested deeper than ${MAX_NESTING} levels`);
    try {
      if (precedence === 0 && this.#is("Operator", "let")) return this.#declaration();
      if (precedence === 0 && this.#is("Operator", "if")) return this.#ifElse();
      const node = this.#operators(this.#primary(), precedence);
      return precedence === 0 ? this.#ternary(node) : node;
    } finally {
      this.#depth -= 1;
    }
  }

  #operators(first: Node, precedence: number): Node {
    let left = first;
    let previous = "";
    while (this.#is("Operator")) {
      const isNegated = this.#is("Operator", "not");
      const operator = isNegated ? (this.#tokens[this.#at + 1]?.value ?? "") : this.#current().value;
      if (isNegated && !NEGATABLE.has(operator)) {
        this.#next();
        this.#unexpected();
      }
      const own = BINARY[operator];
      if (own === undefined || own < precedence) break;
      if (isNegated) this.#next();
      this.#next();
      if (operator === "|") {
        left = this.#call(this.#expect("Identifier"), [left]);
      } else if (previous === "??" && operator !== "??") {
        fail(
          `Operator (${operator}) and coalesce expressions (??) cannot be mixed. Wrap either by parentheses.`,
        );
      } else if (COMPARISONS.has(operator)) {
        left = this.#comparison(left, operator, own);
      } else {
        const right = this.#expression(RIGHT_ASSOCIATIVE.has(operator) ? own : own + 1);
        left = this.#make({ kind: "binary", operator, left, right });
        if (isNegated) left = this.#make({ kind: "unary", operator: "not", node: left });
      }
      previous = operator;
    }
    return left;
  }

  /** `1 < 2 < 3` is `1 < 2 && 2 < 3`. */
  #comparison(first: Node, firstOperator: string, precedence: number): Node {
    let left = first;
    let operator = firstOperator;
    let root: Node | undefined;
    for (;;) {
      const right = this.#expression(precedence + 1);
      const link = this.#make({ kind: "binary", operator, left, right });
      root =
        root === undefined ? link : this.#make({ kind: "binary", operator: "&&", left: root, right: link });
      left = right;
      if (!this.#is("Operator") || !COMPARISONS.has(this.#current().value)) return root;
      operator = this.#next().value;
    }
  }

  #declaration(): Node {
    this.#next();
    const name = this.#expect("Identifier").value;
    this.#expect("Operator", "=");
    const value = this.#expression(0);
    this.#expect("Operator", ";");
    return this.#make({ kind: "let", name, value, body: this.#sequence() });
  }

  #ifElse(): Node {
    this.#next();
    const condition = this.#expression(0);
    const consequent = this.#block();
    this.#expect("Operator", "else");
    const otherwise = this.#is("Operator", "if") ? this.#ifElse() : this.#block();
    return this.#make({ kind: "conditional", condition, consequent, otherwise });
  }

  #block(): Node {
    this.#expect("Bracket", "{");
    const node = this.#sequence();
    this.#expect("Bracket", "}");
    return node;
  }

  #ternary(condition: Node): Node {
    let node = condition;
    while (this.#is("Operator", "?")) {
      this.#next();
      let consequent = node;
      if (!this.#is("Operator", ":")) consequent = this.#expression(0);
      this.#expect("Operator", ":");
      node = this.#make({ kind: "conditional", condition: node, consequent, otherwise: this.#expression(0) });
    }
    return node;
  }

  #primary(): Node {
    const token = this.#current();
    const unary = token.kind === "Operator" ? UNARY[token.value] : undefined;
    if (unary !== undefined) {
      this.#next();
      const node = this.#expression(unary);
      // Only the four names of UNARY get here.
      return this.#postfix(this.#make({ kind: "unary", operator: token.value as UnaryOperator, node }));
    }
    if (this.#is("Bracket", "(")) {
      this.#next();
      const node = this.#sequence();
      this.#expect("Bracket", ")");
      return this.#postfix(node);
    }
    if (this.#predicateDepth > 0 && (this.#is("Operator", "#") || this.#is("Operator", "."))) {
      // A leading `.` is the element itself, its field follows as a postfix.
      const hasName = this.#is("Operator", "#") && this.#next() !== undefined && this.#is("Identifier");
      const name = hasName ? this.#next().value : "";
      return this.#postfix(this.#make({ kind: "pointer", name }));
    }
    if (this.#is("Operator", "::")) {
      this.#next();
      return this.#postfix(this.#call(this.#expect("Identifier"), [], true));
    }
    return this.#secondary();
  }

  #secondary(): Node {
    const token = this.#current();
    switch (token.kind) {
      case "Identifier":
        this.#next();
        if (token.value === "true" || token.value === "false")
          return this.#make({ kind: "bool", value: token.value === "true" });
        if (token.value === "nil") return this.#make({ kind: "nil" });
        if (this.#is("Bracket", "(")) return this.#postfix(this.#call(token, []));
        return this.#postfix(this.#make({ kind: "identifier", name: token.value }));
      case "Number":
        this.#next();
        return this.#make(numberNode(token.value));
      case "String":
        this.#next();
        return this.#postfix(this.#make({ kind: "string", value: token.value }));
      case "Bytes":
        this.#next();
        return this.#postfix(this.#make({ kind: "bytes", value: token.value }));
      case "Operator":
      case "Bracket":
      case "EOF":
        if (this.#is("Bracket", "[")) return this.#postfix(this.#array());
        if (this.#is("Bracket", "{")) return this.#postfix(this.#map());
        return this.#unexpected();
    }
  }

  #call(token: Token, first: readonly Node[], isBuiltin = false): Node {
    const name = token.value;
    const isOverridden = !isBuiltin && this.#overridden.has(name);
    const shape = isOverridden ? undefined : PREDICATES[name];
    if (shape !== undefined) return this.#predicateCall(name, shape, first);
    if (!isOverridden && BUILTIN_NAMES.has(name))
      return this.#make({ kind: "builtin", name, args: this.#arguments(first) });
    const callee = this.#make({ kind: "identifier", name });
    return this.#make({ kind: "call", callee, args: this.#arguments(first) });
  }

  #predicateCall(name: string, shape: readonly string[], first: readonly Node[]): Node {
    const args = [...first];
    this.#expect("Bracket", "(");
    const rest = shape.slice(first.length);
    for (const [index, parameter] of rest.entries()) {
      if (this.#is("Bracket", ")")) {
        if (parameter.endsWith("?")) break;
        fail(`expected at least ${rest.length} arguments`);
      }
      if (index > 0) this.#expect("Operator", ",");
      args.push(parameter.startsWith("p") ? this.#predicate() : this.#expression(0));
    }
    if (this.#is("Operator", ",")) this.#next();
    this.#expect("Bracket", ")");
    const node: BuiltinNode = { kind: "builtin", name, args };
    return this.#make(node);
  }

  #predicate(): Node {
    const isBraced = this.#is("Bracket", "{");
    if (isBraced) this.#next();
    this.#predicateDepth += 1;
    const node = isBraced ? this.#sequence() : this.#expression(0);
    if (!isBraced && this.#is("Operator", ";")) fail("wrap predicate with brackets { and }");
    this.#predicateDepth -= 1;
    if (isBraced) this.#expect("Bracket", "}");
    return this.#make({ kind: "predicate", node });
  }

  #arguments(first: readonly Node[]): readonly Node[] {
    this.#expect("Bracket", "(");
    const rest = this.#list(")");
    return [...first, ...rest];
  }

  #array(): Node {
    this.#next();
    return this.#make({ kind: "array", nodes: this.#list("]") });
  }

  /** Expressions between commas up to the closing bracket; one comma may follow the last. */
  #list(close: string): readonly Node[] {
    const nodes: Node[] = [];
    while (!this.#is("Bracket", close)) {
      if (nodes.length > 0) this.#expect("Operator", ",");
      if (nodes.length > 0 && this.#is("Bracket", close)) break;
      nodes.push(this.#expression(0));
    }
    this.#next();
    return nodes;
  }

  #map(): Node {
    this.#next();
    const pairs: { readonly key: Node; readonly value: Node }[] = [];
    while (!this.#is("Bracket", "}")) {
      if (pairs.length > 0) this.#expect("Operator", ",");
      if (pairs.length > 0 && this.#is("Bracket", "}")) break;
      if (pairs.length > 0 && this.#is("Operator", ",")) this.#unexpected();
      const key = this.#mapKey();
      this.#expect("Operator", ":");
      pairs.push({ key, value: this.#expression(0) });
      this.#make(key);
    }
    this.#next();
    return this.#make({ kind: "map", pairs });
  }

  #mapKey(): Node {
    const token = this.#current();
    if (token.kind === "Number" || token.kind === "String" || token.kind === "Identifier")
      return this.#make({ kind: "string", value: this.#next().value });
    if (this.#is("Bracket", "(")) return this.#expression(0);
    return fail(
      `a map key must be a quoted string, a number, a identifier, or an expression enclosed in parentheses (unexpected token ${describeToken(token)})`,
    );
  }

  #postfix(first: Node): Node {
    let node = first;
    for (;;) {
      const isOptional = this.#is("Operator", "?.");
      if (isOptional || this.#is("Operator", ".")) {
        this.#next();
        node =
          isOptional && this.#is("Bracket", "[") ? this.#index(node, true) : this.#field(node, isOptional);
      } else if (this.#is("Bracket", "[")) {
        node = this.#index(node, false);
      } else {
        return node;
      }
    }
  }

  #field(base: Node, isOptional: boolean): Node {
    const token = this.#next();
    // Operators that are words may name a field: result.not
    if (token.kind !== "Identifier" && !(token.kind === "Operator" && isWord(token.value)))
      fail("expected name");
    const isChain = base.kind === "chain";
    const property = this.#make({ kind: "string", value: token.value });
    const isMethod = this.#is("Bracket", "(");
    const member: Node = { kind: "member", node: isChain ? base.node : base, property, isOptional, isMethod };
    let node = this.#make(member);
    if (isMethod) node = this.#make({ kind: "call", callee: node, args: this.#arguments([]) });
    return isChain || isOptional ? this.#make({ kind: "chain", node }) : node;
  }

  #index(base: Node, isOptional: boolean): Node {
    this.#next();
    const end = (): Node | undefined => (this.#is("Bracket", "]") ? undefined : this.#expression(0));
    const slice = (from: Node | undefined): Node => {
      this.#next();
      const to = end();
      this.#expect("Bracket", "]");
      return this.#make({ kind: "slice", node: base, from, to });
    };
    if (this.#is("Operator", ":")) return slice(undefined);
    const property = this.#expression(0);
    if (this.#is("Operator", ":")) return slice(property);
    this.#expect("Bracket", "]");
    const node = this.#make({ kind: "member", node: base, property, isOptional, isMethod: false });
    return isOptional ? this.#make({ kind: "chain", node }) : node;
  }
}

function isWord(text: string): boolean {
  return Array.from(text).every(isNameChar);
}

const INT64_MAX = 2n ** 63n - 1n;

function numberNode(text: string): Node {
  const value = text.replaceAll("_", "").toLowerCase();
  const radix: Readonly<Record<string, string>> = { "0x": "hex", "0b": "binary", "0o": "octal" };
  const kind = radix[value.slice(0, 2)];
  if (kind !== "hex" && /[.e]/.test(value)) {
    if (!/^(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/.test(value)) fail(`invalid float literal: ${quote(value)}`);
    const number = Number(value);
    if (!Number.isFinite(number))
      fail(`invalid float literal: ${quote(value, "value out of range", "ParseFloat")}`);
    return { kind: "float", value: number };
  }
  const name = kind ?? "integer";
  if (kind !== undefined && !/^0(?:x[0-9a-f]+|b[01]+|o[0-7]+)$/.test(value))
    fail(`invalid ${name} literal: ${quote(value, "invalid syntax", "ParseInt")}`);
  const number = BigInt(kind === undefined ? value.replace(/^0+(?=\d)/, "") : value);
  if (number > INT64_MAX) fail(`invalid ${name} literal: ${quote(value, "value out of range", "ParseInt")}`);
  return { kind: "int", value: number };
}

function quote(value: string, why = "invalid syntax", parser = "ParseFloat"): string {
  return `strconv.${parser}: parsing ${JSON.stringify(value)}: ${why}`;
}
