// What the parser reads with: the tokens, the nodes made so far, where each stands in the text, and how many there may be.
import { childrenOf, type Node } from "./ast.ts";
import { fail } from "./error.ts";
import { describeToken, type Token, type TokenKind, tokenize } from "./lexer.ts";

/** Bound on the size of a tree, the reference's own. */
export const MAX_NODES = 10_000;
/** Bound of weir's own, because checker and evaluator recurse: depth of the tree. */
export const MAX_TREE_DEPTH = 1000;

/** Where nodes stand: characters before the token that makes each what it is. */
export type Locations = Map<Node, number>;

export class Cursor {
  readonly locations: Locations = new Map();
  readonly #tokens: readonly Token[];
  #at = 0;
  #nodes = 0;
  readonly #depths = new Map<Node, number>();

  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  current(offset = 0): Token {
    const last = this.#tokens.at(-1)?.at ?? 0;
    return this.#tokens[this.#at + offset] ?? { kind: "EOF", value: "", at: last };
  }

  next(): Token {
    const token = this.current();
    if (token.kind === "EOF") this.fail("unexpected end of expression");
    this.#at += 1;
    return token;
  }

  is(kind: TokenKind, value?: string): boolean {
    const token = this.current();
    return token.kind === kind && (value === undefined || token.value === value);
  }

  expect(kind: TokenKind, value?: string): Token {
    if (!this.is(kind, value)) this.unexpected();
    return this.next();
  }

  unexpected(): never {
    return this.fail(`unexpected token ${describeToken(this.current())}`);
  }

  /** A failure at a token, by default the one to be read next. */
  fail(message: string, { at } = this.current()): never {
    return fail(message, at);
  }

  /** Counts a node in and notes where it stands. */
  make<T extends Node>(node: T, at: number): T {
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) this.fail("compilation failed: expression exceeds maximum allowed nodes");
    const below = childrenOf(node).map((child) => this.#depths.get(child) ?? 0);
    const depth = 1 + Math.max(0, ...below);
    if (depth > MAX_TREE_DEPTH)
      this.fail(`compilation failed: expression has more than ${MAX_TREE_DEPTH} operators in a row`);
    this.#depths.set(node, depth);
    this.locations.set(node, at);
    return node;
  }
}
