// Lays views out as text: the header and tree of one Rollout or Experiment, in as many columns as there are. Pure; colours are the caller's business.
import type { ExperimentView } from "./experimentview.ts";
import { fitLine, fitTable } from "./narrow.ts";
import type { RolloutView } from "./rolloutview.ts";
import type { TreeNode } from "./treenodes.ts";

/** Where the values of the header begin. */
const VALUE_COLUMN = 17;
/** Columns of the tree that may be left out, the first of them first: icons tell the kind. */
const DISPENSABLE = [1, 3, 4];

function field(name: string, value: string | number | undefined): string[] {
  return value === undefined || value === "" ? [] : [`${`${name}:`.padEnd(VALUE_COLUMN)}${value}`];
}

function images(view: RolloutView | ExperimentView): string[] {
  return view.images.map((image, index) => `${(index === 0 ? "Images:" : "").padEnd(VALUE_COLUMN)}${image}`);
}

/** Lines of `get experiment`, of at most `columns` cells. */
export function renderExperiment(view: ExperimentView, columns = Number.POSITIVE_INFINITY): string[] {
  const header = [
    ...field("Name", view.name),
    ...field("Namespace", view.namespace),
    ...field("Status", view.status),
    ...field("Message", view.message),
    ...images(view),
  ];
  return [...fitHeader(header, columns), "", ...renderTree(view.tree, columns)];
}

/** Lines of `get rollout`, of at most `columns` cells. */
export function renderRollout(view: RolloutView, columns = Number.POSITIVE_INFINITY): string[] {
  const { desired, current, updated, ready, available } = view.replicas;
  const header = [
    ...field("Name", view.name),
    ...field("Namespace", view.namespace),
    ...field("Status", view.status),
    ...field("Message", view.message),
    ...field("Strategy", view.strategy),
    ...field("  Step", view.step),
    ...field("  SetWeight", view.setWeight),
    ...field("  ActualWeight", view.actualWeight),
    ...images(view),
    "Replicas:",
    ...field("  Desired", desired),
    ...field("  Current", current),
    ...field("  Updated", updated),
    ...field("  Ready", ready),
    ...field("  Available", available),
  ];
  return [...fitHeader(header, columns), "", ...renderTree(view.tree, columns)];
}

function fitHeader(lines: readonly string[], columns: number): string[] {
  return lines.flatMap((line) => fitLine(line, VALUE_COLUMN, columns));
}

function renderTree(root: TreeNode, columns: number): string[] {
  const rows: string[][] = [["NAME", "KIND", "STATUS", "AGE", "INFO"]];
  const visit = (node: TreeNode, own: string, below: string): void => {
    rows.push([`${own}${node.name}`, node.kind, node.status, node.age, node.info.join(",")]);
    node.children.forEach((child, index) => {
      const isLast = index === node.children.length - 1;
      visit(child, `${below}${isLast ? "└──" : "├──"}`, `${below}${isLast ? "   " : "│  "}`);
    });
  };
  visit(root, "", "");
  return fitTable(rows, DISPENSABLE, columns);
}
