// The type check: static errors win over short circuits, so it runs before anything is evaluated, against the type of the
// measurement at hand. Besides errors it finds the types that the optimizer asks for, and integer literals that stand for floats.

import { checkSliced, memberType } from "./access.ts";
import type { BuiltinNode, Node } from "./ast.ts";
import { BUILTINS } from "./builtins/table.ts";
import { type ArgumentProblem, argumentProblem, builtinAsValue } from "./calls.ts";
import { CLOSURES, type Closure, type ClosureScope, pointerType } from "./closures.ts";
import type { Locations } from "./cursor.ts";
import { fail, locate, located } from "./error.ts";
import { BUILTIN_NAMES } from "./names.ts";
import { binaryType, operandName, unaryType } from "./operators.ts";
import { own } from "./own.ts";
import type { Parsed } from "./parser.ts";
import type { Patterns } from "./pattern.ts";
import {
  ANY_LIST,
  BOOL,
  BYTES,
  FLOAT,
  INT,
  isAssignable,
  isBool,
  isInteger,
  isList,
  isString,
  isUnknown,
  listOf,
  MAP,
  NIL,
  type Signature,
  STRING,
  type Type,
  typeName,
  UNKNOWN,
} from "./types.ts";

export interface Checked {
  readonly types: ReadonlyMap<Node, Type>;
  /** Integer literals inside an argument that must be a float. */
  readonly floats: ReadonlySet<Node>;
}

interface Scope {
  readonly variables: readonly { readonly name: string; readonly type: Type }[];
  /** The innermost closure. */
  readonly closure: ClosureScope | undefined;
}

/** Types of every node; throws ConditionError. `environment`: names that the condition may use. */
export function check(
  { root, locations }: Parsed,
  environment: ReadonlyMap<string, Type>,
  patterns: Patterns,
): Checked {
  const checker = new Checker(environment, locations, patterns);
  checker.visit(root, { variables: [], closure: undefined });
  return { types: checker.types, floats: checker.floats };
}

class Checker {
  readonly types = new Map<Node, Type>();
  readonly floats = new Set<Node>();
  readonly #environment: ReadonlyMap<string, Type>;
  readonly #locations: Locations;
  readonly #patterns: Patterns;

  constructor(environment: ReadonlyMap<string, Type>, locations: Locations, patterns: Patterns) {
    this.#environment = environment;
    this.#locations = locations;
    this.#patterns = patterns;
  }

  /** A failure that names no place is one of the innermost node at work. */
  visit(node: Node, scope: Scope): Type {
    try {
      const type = this.#visit(node, scope);
      this.types.set(node, type);
      return type;
    } catch (error) {
      throw located(error, this.#locations.get(node) ?? 0);
    }
  }

  #failAt(node: Node | undefined, message: string): never {
    return fail(message, node === undefined ? undefined : this.#locations.get(node));
  }

  #visit(node: Node, scope: Scope): Type {
    switch (node.kind) {
      case "nil":
        return NIL;
      case "bool":
        return BOOL;
      case "int":
        return INT;
      case "float":
        return FLOAT;
      case "string":
        return STRING;
      case "bytes":
        return BYTES;
      case "identifier":
        return this.#identifier(node.name, scope);
      case "unary":
        return unaryType(node.operator, this.visit(node.node, scope));
      case "binary":
        return this.#binary(node, scope);
      case "chain":
      case "predicate":
        return this.visit(node.node, scope);
      case "member":
        return this.#member(node, scope);
      case "slice":
        return this.#slice(node, scope);
      case "call":
        return this.#call(node.callee, node.args, scope);
      case "builtin":
        return this.#builtin(node, scope);
      case "pointer":
        return pointerType(node.name, scope.closure);
      case "let":
        return this.#let(node, scope);
      case "sequence":
        return node.nodes.map((child) => this.visit(child, scope)).at(-1) ?? NIL;
      case "conditional":
        return this.#conditional(node, scope);
      case "array":
        return this.#array(node.nodes, scope);
      case "map":
        for (const { key, value } of node.pairs) {
          this.visit(key, scope);
          this.visit(value, scope);
        }
        return MAP;
      case "constants":
      case "keySet":
        return UNKNOWN;
    }
  }

  #identifier(name: string, scope: Scope): Type {
    const variable = scope.variables.findLast((candidate) => candidate.name === name);
    if (variable !== undefined) return variable.type;
    if (name === "$env") return UNKNOWN;
    const known = this.#environment.get(name);
    if (known !== undefined) return known;
    if (BUILTIN_NAMES.has(name)) return builtinAsValue(name);
    return fail(`unknown name ${name}`);
  }

  #binary(node: Node & { readonly kind: "binary" }, scope: Scope): Type {
    const left = this.visit(node.left, scope);
    const right = this.visit(node.right, scope);
    if (node.operator === "matches" && node.right.kind === "string") this.#patterns.compile(node.right.value);
    const type = binaryType(node.operator, left, right);
    if (type !== undefined) return type;
    return fail(
      `invalid operation: ${node.operator} (mismatched types ${operandName(left)} and ${operandName(right)})`,
    );
  }

  #member(node: Node & { readonly kind: "member" }, scope: Scope): Type {
    const name = node.property.kind === "string" ? node.property.value : undefined;
    if (node.node.kind === "identifier" && node.node.name === "$env") {
      if (name === undefined || (node.isOptional && !this.#environment.has(name))) return UNKNOWN;
      return this.#environment.get(name) ?? fail(`unknown name ${name}`);
    }
    const base = this.visit(node.node, scope);
    const property = this.visit(node.property, scope);
    const type = (): Type => memberType(base, property, name, node.isMethod);
    // Of an element or entry the property is to blame, of a field the whole.
    const isElement = base.kind === "map" || base.kind === "array";
    return isElement ? locate(this.#locations.get(node.property) ?? 0, type) : type();
  }

  #slice(node: Node & { readonly kind: "slice" }, scope: Scope): Type {
    const base = this.visit(node.node, scope);
    if (isUnknown(base)) return UNKNOWN;
    checkSliced(base);
    for (const end of [node.from, node.to]) {
      const type = end === undefined ? INT : this.visit(end, scope);
      if (!isInteger(type) && !isUnknown(type))
        this.#failAt(end, `non-integer slice index ${typeName(type)}`);
    }
    return base;
  }

  #call(callee: Node, args: readonly Node[], scope: Scope): Type {
    if (callee.kind === "identifier" && callee.name === "$env")
      return fail("map[string]interface {} is not callable");
    const type = this.visit(callee, scope);
    if (isUnknown(type)) {
      for (const arg of args) this.visit(arg, scope);
      return UNKNOWN;
    }
    if (type.kind === "function") return this.#overload(type.signature, args, scope);
    if (type.kind !== "nil") return fail(`${typeName(type)} is not callable`);
    const name = callee.kind === "identifier" ? callee.name : "function";
    return fail(`${name} is nil; cannot call nil as function`);
  }

  /** The first overload that fits; else the error of the last one. */
  #overload(signature: Signature, args: readonly Node[], scope: Scope): Type {
    const types = args.map((arg) => this.visit(arg, scope));
    let problem: ArgumentProblem = { message: `no matching overload for ${signature.name}` };
    if (signature.overloads.length === 0) return UNKNOWN;
    for (const { parameters, result } of signature.overloads) {
      const found = argumentProblem(signature.name, parameters, types);
      if (found === undefined) {
        parameters.forEach((parameter, index) => {
          const arg = args[index];
          if (arg !== undefined && parameter.kind === "float" && isInteger(types[index] ?? NIL))
            this.#toFloats(arg);
        });
        return result;
      }
      problem = found;
    }
    return this.#failAt(problem.index === undefined ? undefined : args[problem.index], problem.message);
  }

  /** Integer literals become floats through signs and + - *, and through nothing else. */
  #toFloats(node: Node): void {
    if (node.kind === "int") this.floats.add(node);
    if (node.kind === "unary") this.#toFloats(node.node);
    if (node.kind === "binary" && ["+", "-", "*"].includes(node.operator)) {
      this.#toFloats(node.left);
      this.#toFloats(node.right);
    }
  }

  #builtin(node: BuiltinNode, scope: Scope): Type {
    const closure = own(CLOSURES, node.name);
    if (closure !== undefined) return this.#closure(node, closure, scope);
    const { rule } = own(BUILTINS, node.name) ?? fail(`unknown builtin ${node.name}`);
    if ("overloads" in rule) return this.#overload(rule, node.args, scope);
    return rule.validate(node.args.map((arg) => this.visit(arg, scope)));
  }

  #closure(node: BuiltinNode, { pointers, isTest, type }: Closure, scope: Scope): Type {
    const [list, predicate, extra] = node.args;
    const collection = list === undefined ? NIL : this.visit(list, scope);
    if (!isList(collection) && !isUnknown(collection))
      this.#failAt(list, `builtin ${node.name} takes only array (got ${typeName(collection)})`);
    const element = collection.kind === "array" ? collection.element : UNKNOWN;
    const closure = { collection, pointers };
    const result = predicate === undefined ? undefined : this.visit(predicate, { ...scope, closure });
    if (extra !== undefined) {
      const order = this.visit(extra, scope);
      if (node.name === "sortBy" && !isString(order) && !isUnknown(order))
        this.#failAt(extra, `sortBy order argument must be a string (got ${typeName(order)})`);
    }
    if (result?.kind === "nil")
      this.#failAt(predicate, "predicate should has one input and one output param");
    if (isTest && result !== undefined && !isBool(result) && !isUnknown(result))
      this.#failAt(predicate, `predicate should return boolean (got ${typeName(result)})`);
    return type({ collection, element, result });
  }

  #let(node: Node & { readonly kind: "let" }, scope: Scope): Type {
    if (this.#environment.has(node.name)) fail(`cannot redeclare ${node.name}`);
    if (BUILTIN_NAMES.has(node.name)) fail(`cannot redeclare builtin ${node.name}`);
    if (scope.variables.some(({ name }) => name === node.name))
      fail(`cannot redeclare variable ${node.name}`);
    const type = this.visit(node.value, scope);
    return this.visit(node.body, { ...scope, variables: [...scope.variables, { name: node.name, type }] });
  }

  #conditional(node: Node & { readonly kind: "conditional" }, scope: Scope): Type {
    const condition = this.visit(node.condition, scope);
    if (!isBool(condition) && !isUnknown(condition))
      this.#failAt(node.condition, `non-bool expression (type ${typeName(condition)}) used as condition`);
    const then = this.visit(node.consequent, scope);
    const otherwise = this.visit(node.otherwise, scope);
    if (then.kind === "nil") return otherwise;
    if (otherwise.kind === "nil") return then;
    if (!isAssignable(then, otherwise)) return UNKNOWN;
    if (then.kind === "array" && otherwise.kind === "array") {
      const areAlike =
        isAssignable(then.element, otherwise.element) && isAssignable(otherwise.element, then.element);
      if (!areAlike) return ANY_LIST;
    }
    return then;
  }

  #array(nodes: readonly Node[], scope: Scope): Type {
    const types = nodes.map((node) => this.visit(node, scope));
    const last = types.at(-1);
    const areAlike = types.every((type) => last !== undefined && kindName(type) === kindName(last));
    return last !== undefined && areAlike ? listOf(last) : ANY_LIST;
  }
}

const kindName = (type: Type): string => (type.kind === "named" ? type.go : type.kind);
