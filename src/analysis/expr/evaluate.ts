// Runs an optimized tree. Bounds: steps (nodes visited) and memory (elements made), so that no condition can hold the controller.
import type { BuiltinNode, Node } from "./ast.ts";
import { callBuiltin, sortBy } from "./builtins.ts";
import { fail } from "./error.ts";
import { PREDICATE_NAMES } from "./names.ts";
import { literalPattern, matchesLiteral } from "./pattern.ts";
import { byteLength } from "./text.ts";
import {
  arithmetic,
  asBool,
  asText,
  compare,
  equal,
  fetch,
  goType,
  type HostFunction,
  isIn,
  isInKeys,
  isListValue,
  isMapValue,
  negate,
  slice,
  toInt,
  type Value,
} from "./values.ts";

/** Bound of weir's own: nodes visited in one evaluation (about a second). */
export const MAX_STEPS = 5_000_000;
/** The reference's bound: elements of lists, ranges and maps made in one evaluation. */
export const MEMORY_BUDGET = 1_000_000;

/** What a member or call gives when a `?.` before it found nil: the whole chain is skipped. */
const SKIPPED = Symbol("skipped");

interface Closure {
  readonly element: Value;
  readonly index: bigint;
  readonly accumulator: Value;
}

interface Scope {
  readonly variables: Readonly<Record<string, Value>>;
  readonly closure: Closure | undefined;
}

/** The value of a tree; throws ConditionError. */
export function evaluate(root: Node, environment: Readonly<Record<string, Value>>): Value {
  return new Evaluator(environment).value(root, { variables: {}, closure: undefined });
}

class Evaluator {
  readonly #environment: Readonly<Record<string, Value>>;
  #steps = 0;
  #memory = 0;

  constructor(environment: Readonly<Record<string, Value>>) {
    this.#environment = environment;
  }

  value(node: Node, scope: Scope): Value {
    const value = this.#eval(node, scope);
    // Outside a chain node nothing is skipped: the parser wraps every `?.` in one.
    return value === SKIPPED ? null : value;
  }

  #grow(elements: number): void {
    this.#memory += elements;
    if (this.#memory >= MEMORY_BUDGET) fail("memory budget exceeded");
  }

  #eval(node: Node, scope: Scope): Value | typeof SKIPPED {
    this.#steps += 1;
    if (this.#steps > MAX_STEPS) fail(`condition needs more than ${MAX_STEPS} evaluation steps`);
    switch (node.kind) {
      case "nil":
        return null;
      case "bool":
      case "int":
      case "float":
      case "string":
        return node.value;
      case "bytes":
        return fail("bytes literals are not carried out yet");
      case "constants":
        return node.values;
      case "keySet":
        return fail("a key set stands only right of `in`");
      case "identifier":
        return this.#identifier(node.name, scope);
      case "unary":
        return unary(node.operator, this.value(node.node, scope));
      case "binary":
        return this.#binary(node, scope);
      case "chain":
        return this.value(node.node, scope);
      case "member":
        return this.#member(node, scope);
      case "slice":
        return this.#slice(node, scope);
      case "call":
        return this.#call(node.callee, node.args, scope);
      case "builtin":
        return this.#builtin(node, scope);
      case "predicate":
        return this.value(node.node, scope);
      case "pointer":
        return pointer(node.name, scope.closure);
      case "let": {
        const value = this.value(node.value, scope);
        return this.value(node.body, { ...scope, variables: { ...scope.variables, [node.name]: value } });
      }
      case "sequence":
        return node.nodes.reduce<Value>((_last, child) => this.value(child, scope), null);
      case "conditional":
        return this.value(
          asBool(this.value(node.condition, scope)) ? node.consequent : node.otherwise,
          scope,
        );
      case "array": {
        const items = node.nodes.map((child) => this.value(child, scope));
        this.#grow(items.length);
        return items;
      }
      case "map":
        return this.#map(node.pairs, scope);
    }
  }

  #identifier(name: string, scope: Scope): Value {
    if (Object.hasOwn(scope.variables, name)) return scope.variables[name] ?? null;
    return name === "$env" ? this.#environment : (this.#environment[name] ?? null);
  }

  #map(pairs: readonly { readonly key: Node; readonly value: Node }[], scope: Scope): Value {
    const map: Record<string, Value> = Object.create(null);
    for (const { key, value } of pairs) {
      const name = asText(this.value(key, scope));
      const held = this.value(value, scope);
      // Of two equal keys the first stands.
      if (!Object.hasOwn(map, name)) map[name] = held;
    }
    this.#grow(pairs.length);
    return map;
  }

  #binary(node: Node & { readonly kind: "binary" }, scope: Scope): Value {
    const { operator } = node;
    const left = this.value(node.left, scope);
    if (operator === "&&" || operator === "and") return asBool(left) ? this.value(node.right, scope) : false;
    if (operator === "||" || operator === "or") return asBool(left) ? true : this.value(node.right, scope);
    if (operator === "??") return left === null ? this.value(node.right, scope) : left;
    if (operator === "in" && node.right.kind === "keySet")
      return isInKeys(left, node.right.keyType, node.right.keys);
    const right = this.value(node.right, scope);
    return operator === ".." ? this.#range(toInt(left), toInt(right)) : binary(operator, left, right);
  }

  #range(from: bigint, to: bigint): Value {
    const size = to < from ? 0n : to - from + 1n;
    this.#grow(size > BigInt(MEMORY_BUDGET) ? MEMORY_BUDGET : Number(size));
    return Array.from({ length: Number(size) }, (_, index) => from + BigInt(index));
  }

  #member(node: Node & { readonly kind: "member" }, scope: Scope): Value | typeof SKIPPED {
    const base = this.#eval(node.node, scope);
    if (base === SKIPPED || (node.isOptional && base === null)) return SKIPPED;
    return fetch(base, this.value(node.property, scope));
  }

  #slice(node: Node & { readonly kind: "slice" }, scope: Scope): Value | typeof SKIPPED {
    const base = this.#eval(node.node, scope);
    if (base === SKIPPED) return SKIPPED;
    const to = node.to === undefined ? undefined : this.value(node.to, scope);
    return slice(base, node.from === undefined ? 0n : this.value(node.from, scope), to);
  }

  #call(calleeNode: Node, args: readonly Node[], scope: Scope): Value | typeof SKIPPED {
    const values = args.map((arg) => this.value(arg, scope));
    const callee = this.#eval(calleeNode, scope);
    if (callee === SKIPPED) return SKIPPED;
    if (callee === null) return fail("invalid operation: cannot call nil");
    if (typeof callee !== "function")
      return fail(`invalid operation: cannot call non-function of type ${goType(callee)}`);
    const run: HostFunction = callee;
    return run(values);
  }

  #builtin(node: BuiltinNode, scope: Scope): Value {
    if (PREDICATE_NAMES.has(node.name)) return this.#overElements(node, scope);
    const args = node.args.map((arg) => this.value(arg, scope));
    const value = callBuiltin(node.name, args);
    if (GROWING.has(node.name)) this.#grow(isListValue(value) ? value.length : byteLength(asText(value)));
    return value;
  }

  #overElements(node: BuiltinNode, scope: Scope): Value {
    const [collectionNode, predicate, extra] = node.args;
    if (collectionNode === undefined) return fail(`not enough arguments to call ${node.name}`);
    const elements = elementsOf(this.value(collectionNode, scope));
    const call = (index: number, accumulator: Value = null): Value => {
      const element = elements[index] ?? null;
      if (predicate === undefined) return element;
      return this.value(predicate, { ...scope, closure: { element, index: BigInt(index), accumulator } });
    };
    const holds = (index: number): boolean => asBool(call(index));
    const mapped = (index: number): Value => {
      const element = elements[index] ?? null;
      if (node.map === undefined) return element;
      return this.value(node.map, {
        ...scope,
        closure: { element, index: BigInt(index), accumulator: null },
      });
    };
    const indexes = elements.map((_, index) => index);
    switch (node.name) {
      case "all":
        return indexes.every(holds);
      case "none":
        return !indexes.some(holds);
      case "any":
        return indexes.some(holds);
      case "one":
        return indexes.filter(holds).length === 1;
      case "count":
        return countHits(indexes, holds, node.threshold);
      case "filter": {
        const kept = indexes.flatMap((index) => (holds(index) ? [mapped(index)] : []));
        this.#grow(kept.length);
        return kept;
      }
      case "map":
        this.#grow(indexes.length);
        return indexes.map((index) => call(index));
      case "sum":
        return indexes.reduce<Value>((sum, index) => arithmetic("+", call(index), sum), 0n);
      case "find":
      case "findLast": {
        const hit = node.name === "find" ? indexes.find(holds) : indexes.findLast(holds);
        if (hit === undefined) return node.throws === true ? fail("reflect: slice index out of range") : null;
        return mapped(hit);
      }
      case "findIndex":
      case "findLastIndex": {
        const hit = node.name === "findIndex" ? indexes.find(holds) : indexes.findLast(holds);
        return hit === undefined ? null : BigInt(hit);
      }
      case "sortBy": {
        const order = extra === undefined ? "asc" : this.value(extra, scope);
        if (typeof order !== "string") return fail("sortBy order argument must be a string");
        this.#grow(elements.length);
        return sortBy(
          elements,
          indexes.map((index) => call(index)),
          order,
          "unknown order, use asc or desc",
        );
      }
      case "reduce":
        return reduce(indexes, elements, call, extra === undefined ? undefined : this.value(extra, scope));
      default:
        return fail(`function ${node.name} is not carried out yet`);
    }
  }
}

/** Builtins that count against the memory budget. */
const GROWING = new Set(["repeat", "reverse", "concat", "flatten", "sort"]);

function countHits(
  indexes: readonly number[],
  holds: (index: number) => boolean,
  threshold: bigint | undefined,
): bigint {
  let hits = 0n;
  for (const index of indexes) {
    if (holds(index)) hits += 1n;
    if (threshold !== undefined && hits >= threshold) break;
  }
  return hits;
}

function reduce(
  indexes: readonly number[],
  elements: readonly Value[],
  call: (index: number, accumulator: Value) => Value,
  initial: Value | undefined,
): Value {
  if (initial !== undefined) return indexes.reduce((accumulator, index) => call(index, accumulator), initial);
  const [first] = elements;
  if (first === undefined) return fail("reduce of empty array with no initial value");
  return indexes.slice(1).reduce((accumulator, index) => call(index, accumulator), first);
}

/** What a closure runs over: a list, or the bytes of an untyped string. */
function elementsOf(value: Value): readonly Value[] {
  if (isListValue(value)) return value;
  if (typeof value === "string") return [...new TextEncoder().encode(value)].map(BigInt);
  if (isMapValue(value)) {
    if (Object.keys(value).length === 0) return [];
    return fail("reflect: call of reflect.Value.Index on map Value");
  }
  return fail(`reflect: call of reflect.Value.Len on ${value === null ? "zero" : goType(value)} Value`);
}

function pointer(name: string, closure: Closure | undefined): Value {
  if (closure === undefined) return fail("cannot use pointer accessor outside predicate");
  if (name === "index") return closure.index;
  return name === "acc" ? closure.accumulator : closure.element;
}

function unary(operator: string, value: Value): Value {
  if (operator === "-") return negate(value);
  // Unary plus does nothing at all, to text neither.
  return operator === "+" ? value : !asBool(value);
}

function binary(operator: string, left: Value, right: Value): Value {
  switch (operator) {
    case "==":
      return equal(left, right);
    case "!=":
      return !equal(left, right);
    case "<":
    case ">":
    case "<=":
    case ">=":
      return compare(operator, left, right);
    case "in":
      return isIn(left, right);
    case "contains":
      return left !== null && right !== null && asText(left).includes(asText(right));
    case "startsWith":
      return left !== null && right !== null && asText(left).startsWith(asText(right));
    case "endsWith":
      return left !== null && right !== null && asText(left).endsWith(asText(right));
    case "matches":
      if (left === null || right === null) return false;
      return matchesLiteral(
        asText(left),
        literalPattern(asText(right)) ?? fail(unsupportedPattern(asText(right))),
      );
    default:
      return arithmetic(operator, left, right);
  }
}

/** Words for a pattern that needs a regular expression engine. */
export function unsupportedPattern(pattern: string): string {
  return `matches with the pattern ${JSON.stringify(pattern)} is not carried out yet: only plain text, with ^ or $ at its ends, is`;
}
