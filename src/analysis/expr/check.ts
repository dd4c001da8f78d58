// The type check: static errors win over short circuits, so it runs before anything is evaluated, against the type of the
// measurement at hand. Besides errors it finds the types that the optimizer asks for, and integer literals that stand for floats.
import type { BuiltinNode, Node } from "./ast.ts";
import { fail } from "./error.ts";
import { BUILTIN_NAMES, PREDICATE_NAMES } from "./names.ts";
import { builtinResult, isCarriedOut } from "./signatures.ts";
import {
  ANY_LIST,
  BOOL,
  BYTES,
  FLOAT,
  goName,
  INT,
  isAssignable,
  isComparable,
  isInteger,
  isNumber,
  isUnknown,
  listOf,
  MAP,
  mayFit,
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
  /** Innermost closure: the collection's type and the names that `#name` may take. */
  readonly closure: { readonly collection: Type; readonly names: Readonly<Record<string, Type>> } | undefined;
}

const isBool = (type: Type): boolean => type.kind === "bool";
const isString = (type: Type): boolean => type.kind === "string";
const isList = (type: Type): boolean => type.kind === "array";

/** Types of every node of `root`; throws ConditionError. `environment`: names that the condition may use. */
export function check(root: Node, environment: ReadonlyMap<string, Type>): Checked {
  const checker = new Checker(environment);
  checker.visit(root, { variables: [], closure: undefined });
  return { types: checker.types, floats: checker.floats };
}

class Checker {
  readonly types = new Map<Node, Type>();
  readonly floats = new Set<Node>();
  readonly #environment: ReadonlyMap<string, Type>;

  constructor(environment: ReadonlyMap<string, Type>) {
    this.#environment = environment;
  }

  visit(node: Node, scope: Scope): Type {
    const type = this.#visit(node, scope);
    this.types.set(node, type);
    return type;
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
        return checkUnary(node.operator, this.visit(node.node, scope));
      case "binary":
        return this.#binary(node, scope);
      case "chain":
        return this.visit(node.node, scope);
      case "member":
        return this.#member(node, scope);
      case "slice":
        return this.#slice(node, scope);
      case "call":
        return this.#call(node.callee, node.args, scope);
      case "builtin":
        return this.#builtin(node, scope);
      case "predicate":
        return this.visit(node.node, scope);
      case "pointer":
        return pointerType(node.name, scope);
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
    if (name === "$env") return MAP;
    const known = this.#environment.get(name);
    if (known !== undefined) return known;
    if (BUILTIN_NAMES.has(name)) fail(`${name} as a value is not carried out: call it`);
    return fail(`unknown name ${name}`);
  }

  #binary(node: Node & { readonly kind: "binary" }, scope: Scope): Type {
    const left = this.visit(node.left, scope);
    const right = this.visit(node.right, scope);
    const type = binaryType(node.operator, left, right);
    if (type !== undefined) return type;
    return fail(
      `invalid operation: ${node.operator} (mismatched types ${typeName(left)} and ${typeName(right)})`,
    );
  }

  #member(node: Node & { readonly kind: "member" }, scope: Scope): Type {
    const base = this.visit(node.node, scope);
    const property = this.visit(node.property, scope);
    if (node.node.kind === "identifier" && node.node.name === "$env")
      return node.property.kind === "string" && !node.isOptional
        ? this.#identifier(node.property.value, { ...scope, variables: [] })
        : UNKNOWN;
    if (isUnknown(base)) return UNKNOWN;
    const name = node.property.kind === "string" ? node.property.value : undefined;
    if (base.kind === "nil" && name !== undefined) fail(`type nil has no field ${name}`);
    if (base.kind === "map") {
      if (!isAssignable(property, STRING) && !isUnknown(property))
        fail(`cannot use ${typeName(property)} to get an element from ${typeName(base)}`);
      return UNKNOWN;
    }
    if (base.kind === "array") {
      if (!isInteger(property) && !isUnknown(property))
        fail(`array elements can only be selected using an integer (got ${typeName(property)})`);
      return base.element;
    }
    if (name !== undefined)
      fail(`type ${typeName(base)} has no ${node.isMethod ? "method" : "field"} ${name}`);
    return fail(`type ${typeName(base)}[${typeName(property)}] is undefined`);
  }

  #slice(node: Node & { readonly kind: "slice" }, scope: Scope): Type {
    const base = this.visit(node.node, scope);
    if (isUnknown(base)) return UNKNOWN;
    if (!isString(base) && !isList(base)) fail(`cannot slice ${typeName(base)}`);
    for (const end of [node.from, node.to]) {
      const type = end === undefined ? INT : this.visit(end, scope);
      if (!isInteger(type) && !isUnknown(type)) fail(`non-integer slice index ${typeName(type)}`);
    }
    return base;
  }

  #call(callee: Node, args: readonly Node[], scope: Scope): Type {
    const type = this.visit(callee, scope);
    if (isUnknown(type)) {
      for (const arg of args) this.visit(arg, scope);
      return UNKNOWN;
    }
    if (type.kind === "function") return this.#overload(type.signature, args, scope);
    return fail(
      type.kind === "nil"
        ? "function is nil; cannot call nil as function"
        : `${typeName(type)} is not callable`,
    );
  }

  /** The first overload that fits; else the error of the last one. */
  #overload(signature: Signature, args: readonly Node[], scope: Scope): Type {
    const types = args.map((arg) => this.visit(arg, scope));
    let error = `no matching overload for ${signature.name}`;
    for (const { parameters, result } of signature.overloads) {
      const problem = argumentProblem(signature.name, parameters, types);
      if (problem === undefined) {
        parameters.forEach((parameter, index) => {
          const arg = args[index];
          if (arg !== undefined && parameter.kind === "float" && isInteger(types[index] ?? NIL))
            this.#toFloats(arg);
        });
        return result;
      }
      error = problem;
    }
    return fail(error);
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
    if (!isCarriedOut(node.name)) fail(`function ${node.name} is not carried out yet`);
    if (PREDICATE_NAMES.has(node.name)) return this.#predicateBuiltin(node, scope);
    const signature = builtinResult(node.name);
    if ("overloads" in signature) return this.#overload(signature, node.args, scope);
    return signature.validate(node.args.map((arg) => this.visit(arg, scope)));
  }

  #predicateBuiltin(node: BuiltinNode, scope: Scope): Type {
    const [collectionNode, predicate, extra] = node.args;
    const collection = collectionNode === undefined ? NIL : this.visit(collectionNode, scope);
    if (!isList(collection) && !isUnknown(collection))
      fail(`builtin ${node.name} takes only array (got ${typeName(collection)})`);
    const element = collection.kind === "array" ? collection.element : UNKNOWN;
    const names: Readonly<Record<string, Readonly<Record<string, Type>>>> = {
      map: { index: INT },
      reduce: { index: INT, acc: UNKNOWN },
    };
    const closure = { collection, names: names[node.name] ?? {} };
    const result = predicate === undefined ? undefined : this.visit(predicate, { ...scope, closure });
    if (extra !== undefined) {
      const order = this.visit(extra, scope);
      if (node.name === "sortBy" && !isString(order) && !isUnknown(order))
        fail(`sortBy order argument must be a string (got ${typeName(order)})`);
    }
    if (result !== undefined) checkPredicate(node.name, result);
    return predicateResult(node.name, collection, element, result);
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
      fail(`non-bool expression (type ${typeName(condition)}) used as condition`);
    const then = this.visit(node.consequent, scope);
    const otherwise = this.visit(node.otherwise, scope);
    if (then.kind === "nil") return otherwise;
    if (otherwise.kind === "nil") return then;
    if (!isAssignable(then, otherwise)) return UNKNOWN;
    if (then.kind === "array" && otherwise.kind === "array" && !isAssignable(otherwise, then))
      return ANY_LIST;
    return then;
  }

  #array(nodes: readonly Node[], scope: Scope): Type {
    const types = nodes.map((node) => this.visit(node, scope));
    const last = types.at(-1);
    return last !== undefined && types.every((type) => type.kind === last.kind) ? listOf(last) : ANY_LIST;
  }
}

function checkUnary(operator: string, type: Type): Type {
  if (operator === "!" || operator === "not") {
    if (isBool(type) || isUnknown(type)) return BOOL;
  } else if (isNumber(type) || isUnknown(type)) {
    return type;
  }
  return fail(`invalid operation: ${operator} (mismatched type ${typeName(type)})`);
}

function binaryType(operator: string, left: Type, right: Type): Type | undefined {
  const when = (is: boolean, type: Type): Type | undefined => (is ? type : undefined);
  const both = (fits: (type: Type) => boolean): boolean => fits(left) && fits(right);
  switch (operator) {
    case "==":
    case "!=":
      return when(isComparable(left, right), BOOL);
    case "or":
    case "||":
    case "and":
    case "&&":
      return when(both(isBool) || mayFit(left, right, isBool), BOOL);
    case "<":
    case ">":
    case ">=":
    case "<=":
      return when(both(isNumber) || both(isString) || mayFit(left, right, isNumber, isString), BOOL);
    case "+":
      if (both(isString)) return STRING;
      return arithmetic(left, right, isNumber, isString);
    case "-":
    case "*":
      return arithmetic(left, right, isNumber);
    case "/":
    case "**":
    case "^":
      return when(both(isNumber) || mayFit(left, right, isNumber), FLOAT);
    case "%":
      return when(both(isInteger) || mayFit(left, right, isInteger), INT);
    case "in":
      return inType(left, right);
    case "matches":
    case "contains":
    case "startsWith":
    case "endsWith":
      return when(both(isString) || mayFit(left, right, isString), BOOL);
    case "..":
      return when(both(isInteger) || mayFit(left, right, isInteger), listOf(INT));
    case "??":
      if (left.kind === "nil") return right;
      if (right.kind === "nil" || isAssignable(right, left)) return left;
      return UNKNOWN;
    default:
      return fail(`unknown operator (${operator})`);
  }
}

function arithmetic(
  left: Type,
  right: Type,
  ...fits: readonly ((type: Type) => boolean)[]
): Type | undefined {
  if (isNumber(left) && isNumber(right)) return left.kind === "float" || right.kind === "float" ? FLOAT : INT;
  return mayFit(left, right, ...fits) ? UNKNOWN : undefined;
}

function inType(left: Type, right: Type): Type | undefined {
  if (right.kind === "map") {
    if (!isUnknown(left) && !isAssignable(left, STRING))
      fail(`cannot use ${typeName(left)} as type string in map key`);
    return BOOL;
  }
  if (right.kind === "array") {
    if (!isComparable(left, right.element))
      fail(`cannot use ${typeName(left)} as type ${goName(right.element)} in array`);
    return BOOL;
  }
  if (isUnknown(right) || (isUnknown(left) && isString(right))) return BOOL;
  return undefined;
}

function argumentProblem(
  name: string,
  parameters: readonly Type[],
  types: readonly Type[],
): string | undefined {
  if (types.length > parameters.length) return `too many arguments to call ${name}`;
  if (types.length < parameters.length) return `not enough arguments to call ${name}`;
  for (const [index, type] of types.entries()) {
    const parameter = parameters[index] ?? UNKNOWN;
    if (isInteger(type) && isNumber(parameter)) continue;
    if (type.kind === "nil") {
      if (isUnknown(parameter)) continue;
      return `cannot use nil as argument (type ${goName(parameter)}) to call ${name}`;
    }
    if (!isAssignable(type, parameter) && !isUnknown(type))
      return `cannot use ${typeName(type)} as argument (type ${goName(parameter)}) to call ${name} `;
  }
  return undefined;
}

function pointerType(name: string, scope: Scope): Type {
  if (scope.closure === undefined) return fail("cannot use pointer accessor outside predicate");
  const { collection, names } = scope.closure;
  if (name === "") return collection.kind === "array" ? collection.element : UNKNOWN;
  return names[name] ?? fail(`unknown pointer #${name}`);
}

const BOOL_PREDICATES = new Set(
  "all none any one filter count find findIndex findLast findLastIndex".split(" "),
);

function checkPredicate(name: string, result: Type): void {
  if (result.kind === "nil") fail("predicate should has one input and one output param");
  if (BOOL_PREDICATES.has(name) && !isBool(result) && !isUnknown(result))
    fail(`predicate should return boolean (got ${typeName(result)})`);
}

function predicateResult(name: string, collection: Type, element: Type, result: Type | undefined): Type {
  switch (name) {
    case "all":
    case "none":
    case "any":
    case "one":
      return BOOL;
    case "count":
    case "findIndex":
    case "findLastIndex":
      return INT;
    case "filter":
      return listOf(element);
    case "map":
      return listOf(result ?? UNKNOWN);
    case "sum":
    case "reduce":
      return result ?? element;
    case "sortBy":
      return collection;
    default:
      return element;
  }
}
