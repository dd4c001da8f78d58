// Lays views out as text: the header and tree of one Rollout or Experiment, and plain tables. Pure; colours are the caller's business.
import type { ExperimentView } from "./experimentview.ts";
import type { RolloutView } from "./rolloutview.ts";
import type { TreeNode } from "./treenodes.ts";

function field(name: string, value: string | number | undefined): string[] {
  return value === undefined || value === "" ? [] : [`${`${name}:`.padEnd(17)}${value}`];
}

function images(view: RolloutView | ExperimentView): string[] {
  return view.images.map((image, index) => `${(index === 0 ? "Images:" : "").padEnd(17)}${image}`);
}

/** Lines of `get experiment`. */
export function renderExperiment(view: ExperimentView): string[] {
  return [
    ...field("Name", view.name),
    ...field("Namespace", view.namespace),
    ...field("Status", view.status),
    ...field("Message", view.message),
    ...images(view),
    "",
    ...renderTree(view.tree),
  ];
}

/** Lines of `get rollout`. */
export function renderRollout(view: RolloutView): string[] {
  const { desired, current, updated, ready, available } = view.replicas;
  return [
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
    "",
    ...renderTree(view.tree),
  ];
}

function renderTree(root: TreeNode): string[] {
  const rows: string[][] = [["NAME", "KIND", "STATUS", "AGE", "INFO"]];
  const visit = (node: TreeNode, own: string, below: string): void => {
    rows.push([`${own}${node.name}`, node.kind, node.status, node.age, node.info.join(",")]);
    node.children.forEach((child, index) => {
      const isLast = index === node.children.length - 1;
      visit(child, `${below}${isLast ? "└──" : "├──"}`, `${below}${isLast ? "   " : "│  "}`);
    });
  };
  visit(root, "", "");
  return renderTable(rows);
}

/** Columns as wide as their widest cell, two spaces apart; no spaces at the ends of lines. */
export function renderTable(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, width(cell));
    });
  }
  return rows.map((row) =>
    row
      .map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - width(cell)))
      .join("  ")
      .trimEnd(),
  );
}

/** Terminal cells: code points, without combining marks. */
function width(cell: string): number {
  return Array.from(cell.replaceAll(/\p{Mark}/gu, "")).length;
}
