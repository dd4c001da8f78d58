// Lines broken at words for a terminal.

/** A long line in several of at most `columns`, all but the first indented by two. Words that are longer stay whole. */
export function wrapLine(line: string, columns: number): readonly string[] {
  const lines: string[] = [];
  let current = "";
  for (const word of line.split(" ")) {
    const next = current === "" ? word : `${current} ${word}`;
    if (next.length > columns && current.trim() !== "") {
      lines.push(current);
      current = `  ${word}`;
    } else current = next;
  }
  return [...lines, current];
}
