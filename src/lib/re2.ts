// Regular expressions in RE2's syntax that take time linear in the text. JavaScript's own would not do: other classes, look-around,
// and time that a pattern can make exponential. The engine is a module of 260 KB, so it is loaded when the first pattern is
// compiled, and synchronously, because conditions are evaluated by pure functions.
import { createRequire } from "node:module";

export interface Re2Pattern {
  /** Size of the compiled program: matching takes at most this many looks at each character. */
  readonly instructions: number;
  /** Whether the pattern matches somewhere in the text. */
  readonly matches: (text: string) => boolean;
  /** Whether the pattern matches all of the text. */
  readonly accepts: (text: string) => boolean;
}

/** Compiles a pattern; `problem` says in RE2's words what is wrong with it. */
export function compileRe2(pattern: string): Re2Pattern | { readonly problem: string } {
  engine ??= load();
  const { RE2JS, RE2JSException } = engine;
  try {
    const compiled = RE2JS.compile(pattern);
    return {
      instructions: compiled.programSize(),
      matches: (text) => compiled.test(text),
      accepts: (text) => compiled.matches(text),
    };
  } catch (error) {
    // RE2 quotes the (empty) rest of a pattern here too.
    if (error instanceof RE2JSException)
      return { problem: error.message.replace(/end of expression$/, "$&: ``") };
    throw error;
  }
}

type Engine = typeof import("re2js");

/** The module, once loaded: the one thing that is kept, as the module loader itself would. */
let engine: Engine | undefined;

function load(): Engine {
  // `require` cannot know what it loads; the package's own types say so.
  return createRequire(import.meta.url)("re2js") as Engine;
}
