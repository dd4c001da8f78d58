// The project's sources as TypeScript's own parser reads them: what each file imports, and how long its functions are.
import { glob } from "node:fs/promises";
import { dirname, join, normalize } from "node:path";
import {
  isCallExpression,
  isExportDeclaration,
  isFunctionDeclaration,
  isFunctionLikeDeclaration,
  isImportDeclaration,
  isImportTypeNode,
  isLiteralTypeNode,
  isMethodDeclaration,
  isStringLiteral,
  isVariableOrPropertyDeclaration,
  type Node,
  type SourceFile,
  SyntaxKind,
} from "typescript/unstable/ast";
import { API } from "typescript/unstable/sync";

/** One import, export-from or `import()`. */
export interface ImportLine {
  readonly line: number;
  /** As written. */
  readonly specifier: string;
  /** The file of a relative specifier, from the project's root; undefined for a package. */
  readonly target: string | undefined;
  /** Gone when types are stripped. */
  readonly isTypeOnly: boolean;
  /** `export * from`. */
  readonly isStar: boolean;
}

/** A function with a body. */
export interface FunctionSize {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

/** A file of the project. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly lines: number;
  readonly imports: readonly ImportLine[];
  readonly functions: readonly FunctionSize[];
}

/** Parses every TypeScript file that matches, generated ones included, in order of their names. */
export async function readSources(...patterns: readonly string[]): Promise<Source[]> {
  const files = (await Promise.all(patterns.map((pattern) => Array.fromAsync(glob(pattern))))).flat().sort();
  const api = new API();
  try {
    const project = api.updateSnapshot({ openProjects: ["tsconfig.json"] }).getProject("tsconfig.json");
    if (project === undefined) throw new Error("TypeScript did not open tsconfig.json");
    return files.map((file) => {
      const parsed = project.program.getSourceFile(file);
      if (parsed === undefined) throw new Error(`${file} is not part of tsconfig.json`);
      return sourceOf(file, parsed);
    });
  } finally {
    api.close();
  }
}

function sourceOf(file: string, parsed: SourceFile): Source {
  const imports: ImportLine[] = [];
  const functions: FunctionSize[] = [];
  const lineAt = (position: number): number => parsed.getLineAndCharacterOfPosition(position).line + 1;
  const visit = (node: Node): void => {
    const found = importOf(node);
    if (found !== undefined) {
      const target = found.specifier.startsWith(".")
        ? normalize(join(dirname(file), found.specifier))
        : undefined;
      imports.push({ ...found, target, line: lineAt(node.getStart(parsed)) });
    }
    if (isFunctionLikeDeclaration(node) && node.body !== undefined) {
      const line = lineAt(node.getStart(parsed));
      functions.push({ name: nameOf(node, parsed), line, lines: lineAt(node.getEnd()) - line + 1 });
    }
    node.forEachChild(visit);
  };
  parsed.forEachChild(visit);
  return { file, text: parsed.text, lines: parsed.text.split("\n").length - 1, imports, functions };
}

/** What the node itself imports; undefined: nothing. */
function importOf(node: Node): Omit<ImportLine, "line" | "target"> | undefined {
  if (isImportDeclaration(node)) {
    const isTypeOnly = node.importClause?.phaseModifier === SyntaxKind.TypeKeyword;
    return { specifier: textOf(node.moduleSpecifier), isTypeOnly, isStar: false };
  }
  if (isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    const isStar = node.exportClause === undefined;
    return { specifier: textOf(node.moduleSpecifier), isTypeOnly: node.isTypeOnly, isStar };
  }
  if (isImportTypeNode(node) && isLiteralTypeNode(node.argument))
    return { specifier: textOf(node.argument.literal), isTypeOnly: true, isStar: false };
  if (isCallExpression(node) && node.expression.kind === SyntaxKind.ImportKeyword) {
    const [specifier] = node.arguments;
    return { specifier: textOf(specifier), isTypeOnly: false, isStar: false };
  }
  return undefined;
}

/** The words of a string literal; empty for an expression that only running the program could tell. */
function textOf(node: Node | undefined): string {
  return node !== undefined && isStringLiteral(node) ? node.text : "";
}

/** Its own name, or that of the variable or property it is given to. */
function nameOf(node: Node, parsed: SourceFile): string {
  if ((isFunctionDeclaration(node) || isMethodDeclaration(node)) && node.name !== undefined)
    return node.name.getText(parsed);
  const { parent } = node;
  return isVariableOrPropertyDeclaration(parent) ? parent.name.getText(parsed) : "a function";
}
