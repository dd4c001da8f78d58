// Tables and fields on a terminal of few columns: what matters least is left out, what matters is never cut. Pure.

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

/**
 * The same in lines of at most `columns` cells: table columns are left out one after the other, in the order of `dispensable`, until the rest
 * fits. Where it still does not, the cells of a row stand one below the other, and a longer one goes on in the next line.
 */
export function fitTable(
  rows: readonly (readonly string[])[],
  dispensable: readonly number[],
  columns: number,
): string[] {
  for (let count = 0; count <= dispensable.length; count += 1) {
    const gone = new Set(dispensable.slice(0, count));
    const lines = renderTable(rows.map((row) => row.filter((_cell, column) => !gone.has(column))));
    if (lines.every((line) => width(line) <= columns)) return lines;
  }
  const gone = new Set(dispensable);
  return rows.flatMap((row) => {
    const [first = "", ...rest] = row.filter((_cell, column) => !gone.has(column));
    const below = rest.filter((cell) => cell !== "").map((cell) => `    ${cell}`);
    return [first, ...below].flatMap((line) => fitLine(line, 4, columns));
  });
}

/** A line in several of at most `columns` cells, all but the first indented; broken at spaces where there are any. */
export function fitLine(line: string, indent: number, columns: number): string[] {
  const room = Math.max(columns, indent + 8);
  const lines: string[] = [];
  let rest = line;
  while (width(rest) > room) {
    const head = Array.from(rest).slice(0, room).join("");
    const space = head.lastIndexOf(" ");
    // A break inside of the indentation would make no progress.
    const at = space > indent ? space : head.length;
    lines.push(rest.slice(0, at).trimEnd());
    rest = " ".repeat(indent) + rest.slice(at).trimStart();
  }
  return [...lines, rest];
}

/** Terminal cells: code points, without combining marks. */
function width(cell: string): number {
  return Array.from(cell.replaceAll(/\p{Mark}/gu, "")).length;
}
