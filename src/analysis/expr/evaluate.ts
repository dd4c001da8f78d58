// Runs an optimized tree. Bounds (meter.ts) see to it that no condition can hold the controller.

import { fetch, slice } from "./access.ts";
import type { BuiltinNode, Node } from "./ast.ts";
import type { RunContext } from "./builtins/builtin.ts";
import { BUILTINS } from "./builtins/table.ts";
import { CLOSURES, type Closure, elementsOf } from "./closures.ts";
import type { Locations } from "./cursor.ts";
import { equal, isIn, isInKeys } from "./equality.ts";
import { fail, located } from "./error.ts";
import { MEMORY_BUDGET, type Meter } from "./meter.ts";
import { arithmetic, compare, negate } from "./operators.ts";
import { own } from "./own.ts";
import { matchedText, type Patterns } from "./pattern.ts";
import { byteLength } from "./text.ts";
import {
  asBool,
  asText,
  BYTES_TYPE,
  GoList,
  goType,
  type HostFunction,
  isListValue,
  isNilValue,
  toInt,
  type Value,
} from "./values.ts";

/** What a member or call gives when a `?.` before it found nil: the whole chain is skipped. */
const SKIPPED = Symbol("skipped");

/** What a method or a function of the environment costs, and what each character of its arguments (a time's layout). */
const CALL_STEPS = 50;
const CALL_STEPS_PER_CHAR = 10;

interface ClosureScope {
  readonly element: () => Value;
  readonly index: number;
  readonly accumulator: Value;
}

interface Scope {
  readonly variables: Readonly<Record<string, Value>>;
  readonly closure: ClosureScope | undefined;
}

export interface Evaluation {
  readonly root: Node;
  readonly locations: Locations;
  readonly environment: Readonly<Record<string, Value>>;
  /** What `now()` gives. */
  readonly nowMs: number;
  readonly meter: Meter;
  readonly patterns: Patterns;
}

/** The value of a tree; throws ConditionError. */
export function evaluate(evaluation: Evaluation): Value {
  return new Evaluator(evaluation).value(evaluation.root, { variables: {}, closure: undefined });
}

class Evaluator {
  readonly #environment: Readonly<Record<string, Value>>;
  readonly #locations: Locations;
  readonly #meter: Meter;
  readonly #patterns: Patterns;
  readonly #context: RunContext;

  constructor({ environment, locations, nowMs, meter, patterns }: Evaluation) {
    this.#environment = environment;
    this.#locations = locations;
    this.#meter = meter;
    this.#patterns = patterns;
    this.#context = { meter, nowMs };
  }

  value(node: Node, scope: Scope): Value {
    const value = this.#eval(node, scope);
    // Outside a chain node nothing is skipped: the parser wraps every `?.` in one.
    return value === SKIPPED ? null : value;
  }

  /** A failure that names no place is one of the innermost node at work. */
  #eval(node: Node, scope: Scope): Value | typeof SKIPPED {
    try {
      this.#meter.spend(1);
      return this.#run(node, scope);
    } catch (error) {
      throw located(error, this.#locations.get(node) ?? 0);
    }
  }

  #run(node: Node, scope: Scope): Value | typeof SKIPPED {
    switch (node.kind) {
      case "nil":
        return null;
      case "bool":
      case "int":
      case "float":
      case "string":
        return node.value;
      case "bytes":
        return new GoList(
          BYTES_TYPE,
          Array.from(node.value, (char) => BigInt(char.charCodeAt(0))),
        );
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
      case "chain": {
        const value = this.value(node.node, scope);
        return isNilValue(value) ? null : value;
      }
      case "predicate":
        return this.value(node.node, scope);
      case "member":
        return this.#member(node, scope);
      case "slice":
        return this.#slice(node, scope);
      case "call":
        return this.#call(node.callee, node.args, scope);
      case "builtin":
        return this.#builtin(node, scope);
      case "pointer":
        return pointer(node.name, scope.closure);
      case "let": {
        const value = this.value(node.value, scope);
        return this.value(node.body, { ...scope, variables: { ...scope.variables, [node.name]: value } });
      }
      case "sequence":
        return node.nodes.reduce<Value>((_last, child) => this.value(child, scope), null);
      case "conditional": {
        const holds = asBool(this.value(node.condition, scope));
        return this.value(holds ? node.consequent : node.otherwise, scope);
      }
      case "array": {
        const items = node.nodes.map((child) => this.value(child, scope));
        this.#meter.grow(items.length);
        return items;
      }
      case "map":
        return this.#map(node.pairs, scope);
    }
  }

  #identifier(name: string, scope: Scope): Value {
    if (Object.hasOwn(scope.variables, name)) return scope.variables[name] ?? null;
    if (name === "$env") return this.#environment;
    return Object.hasOwn(this.#environment, name) ? (this.#environment[name] ?? null) : null;
  }

  #map(pairs: readonly { readonly key: Node; readonly value: Node }[], scope: Scope): Value {
    const map: Record<string, Value> = Object.create(null);
    for (const { key, value } of pairs) {
      const name = asText(this.value(key, scope));
      const held = this.value(value, scope);
      // Of two equal keys the first stands.
      if (!Object.hasOwn(map, name)) map[name] = held;
    }
    this.#meter.grow(pairs.length);
    return map;
  }

  #binary(node: Node & { readonly kind: "binary" }, scope: Scope): Value {
    const { operator } = node;
    const left = this.value(node.left, scope);
    if (operator === "&&" || operator === "and") return asBool(left) ? this.value(node.right, scope) : false;
    if (operator === "||" || operator === "or") return asBool(left) ? true : this.value(node.right, scope);
    if (operator === "??") return isNilValue(left) ? this.value(node.right, scope) : left;
    if (operator === "in" && node.right.kind === "keySet")
      return isInKeys(left, node.right.keyType, node.right.keys);
    const right = this.value(node.right, scope);
    return this.#operate(operator, left, right);
  }

  #operate(operator: string, left: Value, right: Value): Value {
    const meter = this.#meter;
    switch (operator) {
      case "..":
        return this.#range(toInt(left), toInt(right));
      case "==":
        return equal(left, right, meter);
      case "!=":
        return !equal(left, right, meter);
      case "<":
      case ">":
      case "<=":
      case ">=":
        return compare(operator, left, right, meter);
      case "in":
        return isIn(left, right, meter);
      case "contains":
      case "startsWith":
      case "endsWith":
      case "matches":
        return left !== null && right !== null && this.#inText(operator, left, right);
      default:
        return arithmetic(operator, left, right, meter);
    }
  }

  #inText(operator: "contains" | "startsWith" | "endsWith" | "matches", left: Value, right: Value): boolean {
    if (operator === "matches") return this.#patterns.matches(matchedText(left), asText(right));
    const [whole, part] = [asText(left), asText(right)];
    this.#meter.spendText(whole.length);
    if (operator === "contains") return whole.includes(part);
    return operator === "startsWith" ? whole.startsWith(part) : whole.endsWith(part);
  }

  #range(from: bigint, to: bigint): Value {
    const size = to < from ? 0n : to - from + 1n;
    this.#meter.grow(size > BigInt(MEMORY_BUDGET) ? MEMORY_BUDGET : Number(size));
    return Array.from({ length: Number(size) }, (_, index) => from + BigInt(index));
  }

  #member(node: Node & { readonly kind: "member" }, scope: Scope): Value | typeof SKIPPED {
    const base = this.#eval(node.node, scope);
    if (base === SKIPPED || (node.isOptional && isNilValue(base))) return SKIPPED;
    return fetch(base, this.value(node.property, scope), this.#meter);
  }

  #slice(node: Node & { readonly kind: "slice" }, scope: Scope): Value | typeof SKIPPED {
    const base = this.#eval(node.node, scope);
    if (base === SKIPPED) return SKIPPED;
    const to = node.to === undefined ? undefined : this.value(node.to, scope);
    return slice(base, node.from === undefined ? 0n : this.value(node.from, scope), to, this.#meter);
  }

  #call(calleeNode: Node, args: readonly Node[], scope: Scope): Value | typeof SKIPPED {
    const values = args.map((arg) => this.value(arg, scope));
    const callee = this.#eval(calleeNode, scope);
    if (callee === SKIPPED) return SKIPPED;
    if (callee === null) return fail("invalid operation: cannot call nil");
    if (typeof callee !== "function")
      return fail(`invalid operation: cannot call non-function of type ${goType(callee)}`);
    const run: HostFunction = callee;
    this.#meter.spend(CALL_STEPS);
    for (const value of values)
      if (typeof value === "string") this.#meter.spend(value.length * CALL_STEPS_PER_CHAR);
    return run(values);
  }

  #builtin(node: BuiltinNode, scope: Scope): Value {
    const closure = own(CLOSURES, node.name);
    if (closure !== undefined) return this.#overElements(node, closure, scope);
    const builtin = own(BUILTINS, node.name) ?? fail(`unknown builtin ${node.name}`);
    const args = node.args.map((arg) => this.value(arg, scope));
    const value = builtin.run(args, this.#context);
    if (builtin.grows === true)
      this.#meter.grow(isListValue(value) ? value.length : byteLength(asText(value)));
    return value;
  }

  #overElements(node: BuiltinNode, closure: Closure, scope: Scope): Value {
    const [collection, predicate, extra] = node.args;
    if (collection === undefined) return fail(`not enough arguments to call ${node.name}`);
    const { length, at } = elementsOf(this.value(collection, scope), this.#meter);
    const meter = this.#meter;
    const run = (body: Node | undefined, index: number, accumulator: Value): Value => {
      meter.spend(1);
      if (body === undefined) return at(index);
      return this.value(body, { ...scope, closure: { element: () => at(index), index, accumulator } });
    };
    return closure.run({
      length,
      meter,
      element: at,
      call: (index, accumulator = null) => run(predicate, index, accumulator),
      mapped: (index) => run(node.map, index, null),
      extra: () => (extra === undefined ? undefined : this.value(extra, scope)),
      throws: node.throws === true,
      threshold: node.threshold,
    });
  }
}

function pointer(name: string, closure: ClosureScope | undefined): Value {
  if (closure === undefined) return fail("cannot use pointer accessor outside predicate");
  if (name === "index") return BigInt(closure.index);
  return name === "acc" ? closure.accumulator : closure.element();
}

function unary(operator: string, value: Value): Value {
  if (operator === "-") return negate(value);
  // Unary plus does nothing at all, to text neither.
  return operator === "+" ? value : !asBool(value);
}
