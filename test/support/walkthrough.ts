// Reads the commands of a Markdown document as a reader would type them, and the output that it promises. A comment before each
// ```bash block says what becomes of it:
//   <!-- run -->  <!-- run: until "TEXT" -->  <!-- run: needs PROGRAM -->  <!-- background: until "TEXT" -->  <!-- skip: REASON -->
// A ```text block right after it holds lines of the output, in order; ages, pod names and spaces are not compared.

export type Treatment =
  | { readonly kind: "run"; readonly needs?: string }
  /** Run again until the output holds the text. */
  | { readonly kind: "repeat"; readonly until: string }
  /** Goes on beside the blocks that follow. */
  | { readonly kind: "background"; readonly until: string }
  | { readonly kind: "skip"; readonly reason: string };

export interface Block {
  readonly line: number;
  readonly treatment: Treatment;
  readonly script: string;
  /** Lines of output that the document shows. */
  readonly promised: readonly string[];
}

const BLOCK = /(?:^<!-- (.*) -->\n)?^```(bash|text)\n([\s\S]*?)^```$/gm;

/** The bash blocks of a document, in order. Throws when one does not say what becomes of it. */
export function readBlocks(markdown: string): readonly Block[] {
  const blocks: Block[] = [];
  let end = -1;
  for (const match of markdown.matchAll(BLOCK)) {
    const [whole, mark, language, body = ""] = match;
    const between = markdown.slice(end, match.index).trim();
    end = match.index + whole.length;
    if (language === "bash") {
      const line = markdown.slice(0, match.index).split("\n").length;
      blocks.push({ line, treatment: treatmentOf(mark, line), script: body, promised: [] });
      continue;
    }
    const last = blocks.at(-1);
    if (last === undefined || between !== "") continue;
    blocks[blocks.length - 1] = { ...last, promised: body.split("\n").filter((line) => line.trim() !== "") };
  }
  return blocks;
}

/** The promised lines that do not occur in the output, each after the one before it. */
export function missingLines(promised: readonly string[], output: string): readonly string[] {
  const lines = output.split("\n").map(comparable);
  const missing: string[] = [];
  let from = 0;
  for (const line of promised) {
    const at = lines.indexOf(comparable(line), from);
    if (at < 0) missing.push(line);
    else from = at + 1;
  }
  return missing;
}

function comparable(line: string): string {
  return line
    .replace(/(-[a-z0-9]{5,10})-[bcdfghjklmnpqrstvwxz2456789]{5}(?![\w-])/g, "$1-POD")
    .replace(/(?<![\w.])\d+(?:ms|s|m|h)\d*s?(?!\w)/g, "AGE")
    .replace(/\s+/g, " ")
    .trim();
}

function treatmentOf(mark: string | undefined, line: number): Treatment {
  const [, word, rest = ""] = /^(\w+)(?:: (.*))?$/.exec(mark ?? "") ?? [];
  const until = /^until "(.+)"$/.exec(rest)?.[1];
  const needs = /^needs (\w+)$/.exec(rest)?.[1];
  if (word === "skip" && rest !== "") return { kind: "skip", reason: rest };
  if (word === "background" && until !== undefined) return { kind: "background", until };
  if (word === "run" && until !== undefined) return { kind: "repeat", until };
  if (word === "run" && needs !== undefined) return { kind: "run", needs };
  if (word === "run" && rest === "") return { kind: "run" };
  throw new Error(
    `line ${line}: a bash block has to say whether it is run or skipped, not ${mark ?? "nothing"}`,
  );
}
