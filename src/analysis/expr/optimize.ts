// The reference's optimizer, as far as it shows in results: folding of literals and booleans, list literals as key sets, early
// stops. It runs on a checked tree and asks the checker's types.

import { type BuiltinNode, mapChildren, type Node } from "./ast.ts";
import type { Checked } from "./check.ts";
import type { Locations } from "./cursor.ts";
import { fail, locate } from "./error.ts";
import { arithmetic } from "./operators.ts";
import { own } from "./own.ts";
import type { Parsed } from "./parser.ts";
import type { Type } from "./types.ts";

const MAX_FOLDS = 1000;

type Rewrite = (node: Node) => Node;

/** The tree that is evaluated, and where its nodes stand; throws ConditionError for a literal division by zero. */
export function optimize(parsed: Parsed, checked: Checked): Parsed {
  const types = new Map(checked.types);
  const locations = new Map(parsed.locations);
  const rewrite = (tree: Node, change: Rewrite): Node => rewriteTree(tree, types, locations, change);
  let node = rewrite(parsed.root, (each) => (checked.floats.has(each) ? asFloat(each) : each));
  node = rewrite(node, (each) => keySet(each, types));
  for (let pass = 0; pass <= MAX_FOLDS; pass++) {
    const folded = rewrite(node, fold);
    if (folded === node) break;
    node = folded;
  }
  const passes: readonly Rewrite[] = [
    (each) => inRange(each, types),
    filterMap,
    filterLen,
    filterEnd,
    (each) => combinePredicates(each),
    sumRange,
    sumArray,
    sumMap,
    countThreshold,
  ];
  return { root: passes.reduce(rewrite, node), locations };
}

/** Children first; a node that replaces another keeps its type and its place. */
function rewriteTree(node: Node, types: Map<Node, Type>, locations: Locations, change: Rewrite): Node {
  const inner = mapChildren(node, (child) => rewriteTree(child, types, locations, change));
  const at = locations.get(node) ?? 0;
  const changed = locate(at, () => change(inner));
  const type = types.get(node);
  if (changed !== node && type !== undefined && !types.has(changed)) types.set(changed, type);
  if (!locations.has(changed)) locations.set(changed, at);
  return changed;
}

function asFloat(node: Node): Node {
  return node.kind === "int" ? { kind: "float", value: Number(node.value) } : node;
}

const isLiteral = (node: Node): node is Node & { readonly kind: "int" | "float" | "string" | "bool" } =>
  node.kind === "int" || node.kind === "float" || node.kind === "string" || node.kind === "bool";

/** `x in ["a", "b"]` looks x up in a map; so does `x in [1, 2]` where x is known to be an int. */
function keySet(node: Node, types: ReadonlyMap<Node, Type>): Node {
  if (node.kind !== "binary" || node.operator !== "in" || node.right.kind !== "array") return node;
  const items = node.right.nodes;
  if (items.length === 0) return node;
  const make = (keyType: "int" | "string"): Node => {
    const keys = items.flatMap((item) => (item.kind === "int" || item.kind === "string" ? [item.value] : []));
    return { ...node, right: { kind: "keySet", keyType, keys: new Set<bigint | string>(keys) } };
  };
  if (types.get(node.left)?.kind === "int" && items.every((item) => item.kind === "int")) return make("int");
  return items.every((item) => item.kind === "string") ? make("string") : node;
}

function fold(node: Node): Node {
  if (node.kind === "unary") return foldUnary(node);
  if (node.kind === "binary") return foldBinary(node);
  if (node.kind === "array" && node.nodes.length > 0 && node.nodes.every(isLiteral))
    return { kind: "constants", values: node.nodes.filter(isLiteral).map(({ value }) => value) };
  if (node.kind !== "builtin" || node.name !== "filter") return node;
  // filter(filter(a, p), q) is filter(a, p && q)
  const [base, outer] = node.args;
  if (base?.kind !== "builtin" || base.name !== "filter" || outer?.kind !== "predicate") return node;
  const [collection, inner] = base.args;
  if (collection === undefined || inner?.kind !== "predicate") return node;
  const both: Node = { kind: "binary", operator: "&&", left: inner.node, right: outer.node };
  return { ...node, args: [collection, { kind: "predicate", node: both }] };
}

function foldUnary(node: Node & { readonly kind: "unary" }): Node {
  const { operator, node: inner } = node;
  if (operator === "!" || operator === "not")
    return inner.kind === "bool" ? { ...inner, value: !inner.value } : node;
  if (inner.kind === "int")
    return operator === "-" ? { ...inner, value: BigInt.asIntN(64, -inner.value) } : inner;
  if (inner.kind === "float") return operator === "-" ? { ...inner, value: -inner.value } : inner;
  return node;
}

function foldBinary(node: Node & { readonly kind: "binary" }): Node {
  const { operator, left, right } = node;
  switch (operator) {
    case "&&":
    case "and":
      return foldLogic(node, true);
    case "||":
    case "or":
      return foldLogic(node, false);
    case "==":
      if (!isLiteral(left) || left.kind !== right.kind || left.kind === "float") return node;
      return { kind: "bool", value: left.value === right.value };
    case "%":
      if (left.kind !== "int" || right.kind !== "int") return node;
      if (right.value === 0n) return fail("integer divide by zero");
      return { kind: "int", value: left.value % right.value };
    case "+":
    case "-":
    case "*":
    case "/":
    case "**":
    case "^":
      return foldArithmetic(node);
    default:
      return node;
  }
}

/** `x && true` is x, unchecked; `x && false` is false without looking at x. The mirror image for `||`. */
function foldLogic(node: Node & { readonly kind: "binary" }, neutral: boolean): Node {
  const { left, right } = node;
  if (left.kind === "bool" && left.value === neutral) return right;
  if (right.kind === "bool" && right.value === neutral) return left;
  const isDecided = left.kind === "bool" || right.kind === "bool";
  return isDecided ? { kind: "bool", value: !neutral } : node;
}

function foldArithmetic(node: Node & { readonly kind: "binary" }): Node {
  const { operator, left, right } = node;
  const isNumber = (each: Node): each is Node & { readonly kind: "int" | "float" } =>
    each.kind === "int" || each.kind === "float";
  if (operator === "+" && left.kind === "string" && right.kind === "string")
    return { kind: "string", value: left.value + right.value };
  if (!isNumber(left) || !isNumber(right)) return node;
  // Two literals: bounded by the text of the condition, so no meter.
  const value = arithmetic(operator, left.value, right.value, undefined);
  if (typeof value === "bigint") return { kind: "int", value };
  return typeof value === "number" ? { kind: "float", value } : node;
}

function inRange(node: Node, types: ReadonlyMap<Node, Type>): Node {
  if (node.kind !== "binary" || node.operator !== "in" || types.get(node.left)?.kind !== "int") return node;
  const { left, right: range } = node;
  if (range.kind !== "binary" || range.operator !== "..") return node;
  if (range.left.kind !== "int" || range.right.kind !== "int") return node;
  return {
    kind: "binary",
    operator: "and",
    left: { kind: "binary", operator: ">=", left, right: range.left },
    right: { kind: "binary", operator: "<=", left, right: range.right },
  };
}

const isFilter = (node: Node | undefined): node is BuiltinNode =>
  node?.kind === "builtin" && node.name === "filter" && node.args.length === 2;

function usesIndex(node: Node): boolean {
  let found = node.kind === "pointer" && node.name === "index";
  mapChildren(node, (child) => {
    found ||= usesIndex(child);
    return child;
  });
  return found;
}

/** `map(filter(a, p), f)` in one pass. */
function filterMap(node: Node): Node {
  if (node.kind !== "builtin" || node.name !== "map") return node;
  const [base, predicate] = node.args;
  if (!isFilter(base) || base.map !== undefined || predicate?.kind !== "predicate" || usesIndex(predicate))
    return node;
  return { ...base, map: predicate.node };
}

function filterLen(node: Node): Node {
  if (node.kind !== "builtin" || node.name !== "len" || node.args.length !== 1) return node;
  const [base] = node.args;
  return isFilter(base) ? { kind: "builtin", name: "count", args: base.args } : node;
}

/** `filter(..)[0]`, `first(filter(..))` and their kin at the other end stop at the first hit. */
function filterEnd(node: Node): Node {
  const found = (filter: BuiltinNode, isFirst: boolean, throws: boolean): Node => ({
    kind: "builtin",
    name: isFirst ? "find" : "findLast",
    args: filter.args,
    throws,
    ...(filter.map === undefined ? {} : { map: filter.map }),
  });
  if (node.kind === "member" && !node.isOptional && node.property.kind === "int" && isFilter(node.node)) {
    const index = node.property.value;
    return index === 0n || index === -1n ? found(node.node, index === 0n, true) : node;
  }
  if (node.kind !== "builtin" || (node.name !== "first" && node.name !== "last")) return node;
  const [base] = node.args;
  return node.args.length === 1 && isFilter(base) ? found(base, node.name === "first", false) : node;
}

const COMBINED: Readonly<Record<string, readonly [operators: readonly string[], combined: string]>> = {
  all: [["&&", "and"], "&&"],
  any: [["||", "or"], "||"],
  none: [["&&", "and"], "||"],
};

/** `all(x, p) && all(x, q)` is `all(x, p && q)`; any and none likewise. */
function combinePredicates(node: Node): Node {
  if (node.kind !== "binary" || node.left.kind !== "builtin" || node.right.kind !== "builtin") return node;
  const { left, right, operator } = node;
  const combined = own(COMBINED, left.name);
  if (combined === undefined || !combined[0].includes(operator) || right.name !== left.name) return node;
  const [collection, p] = left.args;
  const [other, q] = right.args;
  if (collection === undefined || other === undefined || p?.kind !== "predicate" || q?.kind !== "predicate")
    return node;
  if (printed(collection) !== printed(other)) return node;
  const both = combinePredicates({ kind: "binary", operator: combined[1], left: p.node, right: q.node });
  return { ...left, args: [collection, { kind: "predicate", node: both }] };
}

function printed(node: Node): string {
  return JSON.stringify(node, (_key, value: unknown) => {
    if (typeof value === "bigint") return `${value}n`;
    return value instanceof Set ? [...value].map(String) : value;
  });
}

/** `sum(1..n)` by formula, with the closures that the reference knows: #, # * k, # + k, # - k and their mirror images. */
function sumRange(node: Node): Node {
  if (node.kind !== "builtin" || node.name !== "sum") return node;
  const [range, predicate] = node.args;
  if (
    range?.kind !== "binary" ||
    range.operator !== ".." ||
    range.left.kind !== "int" ||
    range.right.kind !== "int"
  )
    return node;
  const [from, to] = [range.left.value, range.right.value];
  if (to < from) return node;
  const count = to - from + 1n;
  const sum = (count * (from + to)) / 2n;
  const value = predicate === undefined ? sum : sumOf(predicate, sum, count);
  return value === undefined ? node : { kind: "int", value: BigInt.asIntN(64, value) };
}

function sumOf(predicate: Node, sum: bigint, count: bigint): bigint | undefined {
  if (predicate.kind !== "predicate") return undefined;
  const { node } = predicate;
  const isElement = (each: Node): boolean => each.kind === "pointer" && each.name === "";
  if (isElement(node)) return sum;
  if (node.kind !== "binary") return undefined;
  const { left, right } = node;
  const isLeft = isElement(left) && right.kind === "int";
  const constant = isLeft ? right : isElement(right) ? left : undefined;
  if (constant?.kind !== "int") return undefined;
  if (node.operator === "*") return constant.value * sum;
  if (node.operator === "+") return sum + count * constant.value;
  if (node.operator !== "-") return undefined;
  return isLeft ? sum - count * constant.value : count * constant.value - sum;
}

/** `sum([a, b, c])` is `a + (b + c)`, so it also joins text; a list of literals is no longer a list node by now. */
function sumArray(node: Node): Node {
  if (node.kind !== "builtin" || node.name !== "sum" || node.args.length !== 1) return node;
  const [items] = node.args;
  if (items?.kind !== "array" || items.nodes.length < 2) return node;
  return items.nodes.reduceRight((right, left) => ({ kind: "binary", operator: "+", left, right }));
}

function sumMap(node: Node): Node {
  if (node.kind !== "builtin" || node.name !== "sum" || node.args.length !== 1) return node;
  const [base] = node.args;
  return base?.kind === "builtin" && base.name === "map" && base.args.length === 2
    ? { ...node, args: base.args }
    : node;
}

/** `count(a, p) > n` stops as soon as the answer is known. */
function countThreshold(node: Node): Node {
  if (node.kind !== "binary" || node.left.kind !== "builtin" || node.right.kind !== "int") return node;
  const { left: count, operator, right } = node;
  if (count.name !== "count" || count.args.length !== 2 || right.value < 0n) return node;
  if ((operator === ">" && right.value === 0n) || (operator === ">=" && right.value === 1n))
    return { ...count, name: "any" };
  const extra =
    operator === ">" || operator === "<=" ? 1n : operator === ">=" || operator === "<" ? 0n : undefined;
  if (extra === undefined || right.value + extra <= 1n) return node;
  return { ...node, left: { ...count, threshold: right.value + extra } };
}
