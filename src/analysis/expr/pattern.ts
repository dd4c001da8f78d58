// Patterns of `matches` that need no regular expression engine: plain text, optionally anchored by ^ and $. Anything else would
// need RE2's semantics (JavaScript's differ in \d, \s, \b, lookaround, classes) and is refused by the caller.

export interface LiteralPattern {
  readonly text: string;
  readonly isAtStart: boolean;
  readonly isAtEnd: boolean;
}

const META = /[\\^$.|?*+()[\]{}]/;

/** The pattern as text and anchors, or undefined when it is a real regular expression. */
export function literalPattern(pattern: string): LiteralPattern | undefined {
  const isAtStart = pattern.startsWith("^");
  const isAtEnd = pattern.endsWith("$") && pattern.length > (isAtStart ? 1 : 0);
  const text = pattern.slice(isAtStart ? 1 : 0, isAtEnd ? -1 : undefined);
  return META.test(text) ? undefined : { text, isAtStart, isAtEnd };
}

/** Whether `text` matches. */
export function matchesLiteral(text: string, pattern: LiteralPattern): boolean {
  if (pattern.isAtStart && pattern.isAtEnd) return text === pattern.text;
  if (pattern.isAtStart) return text.startsWith(pattern.text);
  return pattern.isAtEnd ? text.endsWith(pattern.text) : text.includes(pattern.text);
}
