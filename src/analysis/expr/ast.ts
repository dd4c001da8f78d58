// The syntax tree of the condition language. Parser, checker, optimizer and evaluator share it; nobody changes a node in place.

export type UnaryOperator = "!" | "not" | "+" | "-";

export type Node =
  | { readonly kind: "nil" }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "int"; readonly value: bigint }
  | { readonly kind: "float"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "bytes"; readonly value: string }
  | { readonly kind: "identifier"; readonly name: string }
  | { readonly kind: "unary"; readonly operator: UnaryOperator; readonly node: Node }
  | { readonly kind: "binary"; readonly operator: string; readonly left: Node; readonly right: Node }
  /** Ends what a `?.` inside may skip. */
  | { readonly kind: "chain"; readonly node: Node }
  | {
      readonly kind: "member";
      readonly node: Node;
      readonly property: Node;
      readonly isOptional: boolean;
      readonly isMethod: boolean;
    }
  | {
      readonly kind: "slice";
      readonly node: Node;
      readonly from: Node | undefined;
      readonly to: Node | undefined;
    }
  | { readonly kind: "call"; readonly callee: Node; readonly args: readonly Node[] }
  | BuiltinNode
  | { readonly kind: "predicate"; readonly node: Node }
  /** `#`, `#index`, `#acc`. */
  | { readonly kind: "pointer"; readonly name: string }
  | { readonly kind: "let"; readonly name: string; readonly value: Node; readonly body: Node }
  | { readonly kind: "sequence"; readonly nodes: readonly Node[] }
  | {
      readonly kind: "conditional";
      readonly condition: Node;
      readonly consequent: Node;
      readonly otherwise: Node;
    }
  | { readonly kind: "array"; readonly nodes: readonly Node[] }
  | { readonly kind: "map"; readonly pairs: readonly { readonly key: Node; readonly value: Node }[] }
  /** Made by the optimizer only: a list of literals, and the key set of `x in [...]`. */
  | { readonly kind: "constants"; readonly values: readonly (bigint | number | string | boolean)[] }
  | {
      readonly kind: "keySet";
      readonly keyType: "int" | "string";
      readonly keys: ReadonlySet<bigint | string>;
    };

export interface BuiltinNode {
  readonly kind: "builtin";
  readonly name: string;
  readonly args: readonly Node[];
  /** Made by the optimizer: `find` that errs without a hit, and stop of `count` at this many hits. */
  readonly throws?: boolean;
  readonly threshold?: bigint;
  /** Made by the optimizer: what `filter` or `find` gives for an element instead of the element. */
  readonly map?: Node;
}

/** The direct children of a node, left to right. */
export function childrenOf(node: Node): readonly Node[] {
  switch (node.kind) {
    case "unary":
    case "chain":
    case "predicate":
      return [node.node];
    case "binary":
      return [node.left, node.right];
    case "member":
      return [node.node, node.property];
    case "slice":
      return [node.node, node.from, node.to].filter((child) => child !== undefined);
    case "call":
      return [node.callee, ...node.args];
    case "builtin":
      return node.map === undefined ? node.args : [...node.args, node.map];
    case "let":
      return [node.value, node.body];
    case "sequence":
    case "array":
      return node.nodes;
    case "conditional":
      return [node.condition, node.consequent, node.otherwise];
    case "map":
      return node.pairs.flatMap(({ key, value }) => [key, value]);
    case "nil":
    case "bool":
    case "int":
    case "float":
    case "string":
    case "bytes":
    case "identifier":
    case "pointer":
    case "constants":
    case "keySet":
      return [];
  }
}

/** The same node with each child replaced by `change(child)`; the node itself when nothing changed. */
export function mapChildren(node: Node, change: (child: Node) => Node): Node {
  const children = childrenOf(node);
  const changed = children.map(change);
  if (changed.every((child, index) => child === children[index])) return node;
  const at = (index: number): Node => changed[index] ?? { kind: "nil" };
  switch (node.kind) {
    case "unary":
    case "chain":
    case "predicate":
      return { ...node, node: at(0) };
    case "binary":
      return { ...node, left: at(0), right: at(1) };
    case "member":
      return { ...node, node: at(0), property: at(1) };
    case "slice": {
      const from = node.from === undefined ? undefined : at(1);
      const to = node.to === undefined ? undefined : at(node.from === undefined ? 1 : 2);
      return { ...node, node: at(0), from, to };
    }
    case "call":
      return { ...node, callee: at(0), args: changed.slice(1) };
    case "builtin":
      return node.map === undefined
        ? { ...node, args: changed }
        : { ...node, args: changed.slice(0, -1), map: at(changed.length - 1) };
    case "let":
      return { ...node, value: at(0), body: at(1) };
    case "sequence":
    case "array":
      return { ...node, nodes: changed };
    case "conditional":
      return { ...node, condition: at(0), consequent: at(1), otherwise: at(2) };
    case "map":
      return {
        ...node,
        pairs: node.pairs.map((_, index) => ({ key: at(index * 2), value: at(index * 2 + 1) })),
      };
    case "nil":
    case "bool":
    case "int":
    case "float":
    case "string":
    case "bytes":
    case "identifier":
    case "pointer":
    case "constants":
    case "keySet":
      return node;
  }
}
