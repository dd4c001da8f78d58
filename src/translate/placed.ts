// A rule at one of its matches: a changed path depends on what of it was matched. Pure.
import type { Refuse, RouteInit } from "./actions.ts";
import type { MatchInit } from "./conditions.ts";
import type { PathChange } from "./filters.ts";

type PathInit = NonNullable<MatchInit["pathSpecifier"]>;

/** What a rule does, and what becomes of the path. */
export interface RuleAction {
  readonly init: RouteInit;
  readonly path?: PathChange;
}

/** One route. */
export interface Placed {
  readonly match: MatchInit;
  readonly init: RouteInit;
}

/** The routes of a rule at a match, most often one; none when the path cannot be changed there, which is reported. */
export function placed({ init, path }: RuleAction, match: MatchInit, refuse: Refuse): Placed[] {
  if (path === undefined) return [{ match, init }];
  return path.kind === "full" ? inFull(path, init, match) : byPrefix(path, init, match, refuse);
}

/** A path that was matched as a whole is replaced as a whole, so a prefix becomes a pattern. */
function inFull({ text }: PathChange, init: RouteInit, match: MatchInit): Placed[] {
  const { action } = init;
  if (action?.case === "redirect") {
    const pathRewriteSpecifier = { case: "pathRedirect" as const, value: text };
    return [
      {
        match,
        init: { ...init, action: { case: "redirect", value: { ...action.value, pathRewriteSpecifier } } },
      },
    ];
  }
  const { pathSpecifier } = match;
  const whole = pathSpecifier === undefined ? match : { ...match, pathSpecifier: wholePath(pathSpecifier) };
  return [{ match: whole, init: rewritten(init, text) }];
}

function wholePath(path: PathInit): PathInit {
  if (path.case !== "prefix" && path.case !== "pathSeparatedPrefix") return path;
  const literal = path.value.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
  const regex = path.case === "prefix" ? `${literal}.*` : `${literal}(/.*)?`;
  return { case: "safeRegex", value: { regex } };
}

/**
 * `/api` becomes what is written, `/api/x` that and `/x`; trailing slashes of it mean nothing. Where the prefix just goes, `/api` and `/api/`
 * need a route each: neither `//x` nor an empty path may come of it.
 */
function byPrefix(path: PathChange, init: RouteInit, match: MatchInit, refuse: Refuse): Placed[] {
  const { pathSpecifier } = match;
  const text = path.text.replace(/\/+$/, "");
  if (pathSpecifier?.case === "prefix")
    return [{ match, init: text === "" ? init : rewritten(init, `${text}/`) }];
  if (pathSpecifier?.case !== "pathSeparatedPrefix") {
    refuse(`${path.at}.type`, "ReplacePrefixMatch needs a match of type PathPrefix");
    return [];
  }
  if (text !== "") return [{ match, init: rewritten(init, text) }];
  const { value } = pathSpecifier;
  const at = (specifier: PathInit): MatchInit => ({ ...match, pathSpecifier: specifier });
  return [
    { match: at({ case: "path", value }), init: rewritten(init, "/") },
    { match: at({ case: "prefix", value: `${value}/` }), init: rewritten(init, "/") },
  ];
}

function rewritten(init: RouteInit, text: string): RouteInit {
  const { action } = init;
  if (action?.case === "redirect") {
    const pathRewriteSpecifier = { case: "prefixRewrite" as const, value: text };
    return { ...init, action: { case: "redirect", value: { ...action.value, pathRewriteSpecifier } } };
  }
  if (action?.case !== "route") return init;
  return { ...init, action: { case: "route", value: { ...action.value, prefixRewrite: text } } };
}
