// The same bootstrap in weir's proxy and in a stock Envoy: patterns, parameters, spelling, stickiness, rewrites, redirects, direct responses.
import { compare } from "./bothproxies.ts";
import { MATCH_CASES } from "./envoy.matchcases.ts";
import { REWRITE_CASES } from "./envoy.rewritecases.ts";

for (const one of [...MATCH_CASES, ...REWRITE_CASES]) compare(one);
