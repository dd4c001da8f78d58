// The regular expression engine: RE2's semantics, its words for what it refuses, and that it is loaded only when it is needed.
import { createRequire } from "node:module";
import { test } from "tap";
import { compileRe2 } from "../../src/lib/re2.ts";

const isLoaded = (): boolean =>
  Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes("/re2js/"));

test("re2: the engine is loaded with the first pattern", async (t) => {
  t.equal(isLoaded(), false, "importing this module does not load it");
  compileRe2("a+");
  t.equal(isLoaded(), true);
});

test("re2: patterns match anywhere, as RE2 reads them", async (t) => {
  const matches = (pattern: string, text: string): boolean | string => {
    const compiled = compileRe2(pattern);
    return "problem" in compiled ? compiled.problem : compiled.matches(text);
  };
  t.equal(matches("b+", "abbc"), true);
  t.equal(matches("^b", "abbc"), false);
  t.equal(matches("\\d", "\u0663"), false, "classes are ASCII");
  t.equal(matches("\\p{Nd}", "\u0663"), true);
  t.equal(matches("(?=a)", "a"), "error parsing regexp: invalid or unsupported Perl syntax: `(?=`");
  t.equal(matches("(a)\\1", "aa"), "error parsing regexp: invalid escape sequence: `\\1`");
  t.equal(matches("\\", ""), "error parsing regexp: trailing backslash at end of expression: ``");
});

test("re2: a pattern tells its size", async (t) => {
  const small = compileRe2("a");
  const large = compileRe2("a{500}");
  t.ok("instructions" in small && small.instructions < 10);
  t.ok("instructions" in large && large.instructions > 500);
});
