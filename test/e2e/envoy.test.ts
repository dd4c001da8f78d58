// The same bootstrap in weir's proxy and in a stock Envoy: hosts, paths, headers, failures, messages; what is refused and how it is said.
import { readFile } from "node:fs/promises";
import { test } from "tap";
import { run } from "../support/up.ts";
import { compare, fileOf, filled } from "./bothproxies.ts";
import { CASES } from "./envoy.cases.ts";
import { MATCH_CASES } from "./envoy.matchcases.ts";

for (const one of CASES) compare(one);

test("bootstrap: every deliberate difference stands in the reference", async (t) => {
  const text = await readFile("docs/reference/bootstrap.md", "utf8");
  const section = text.slice(text.indexOf("## Where weir differs from Envoy"));
  for (const { differs } of [...CASES, ...MATCH_CASES].flatMap(({ requests }) => requests))
    if (differs !== undefined) t.match(section, `| ${differs.name} |`);
});

test("bootstrap: what weir does not carry out is refused with file, line, column and field", async (t) => {
  const refusals: readonly (readonly [from: string, to: string, words: RegExp])[] = [
    [
      "timeout: 0.3s",
      "timeout: 0.3s, hedge_policy: { additional_request_chance: { numerator: 50 } }",
      /bootstrap\.yaml:\d+:\d+: static_resources\.listeners\[0\].*\.routes\[0\]\.route\.hedge_policy\.additional_request_chance is not supported/,
    ],
    [
      "use_remote_address: true",
      "use_remote_address: true\n                path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT",
      /path_with_escaped_slashes_action has a value that this proxy does not support: UNESCAPE_AND_REDIRECT/,
    ],
    [
      "cluster: empty }",
      "cluster: empty, cluster_not_found_response_code: NOT_FOUND }",
      /cluster_not_found_response_code has a value/,
    ],
    ["stat_prefix: main", "stat_prefix: main\n                nonsense: 1", /nonsense is not a field of/],
    [
      "connect_timeout: 1s",
      "connect_timeout: soon",
      /bootstrap\.yaml:\d+:\d+: static_resources\.clusters\[0\]\.connect_timeout has a wrong value/,
    ],
    [
      "validate_clusters: false",
      "validate_clusters: true",
      /bootstrap\.yaml:\d+:\d+: static_resources\.listeners\[0\].*route\.cluster names missing, which is not among static_resources\.clusters/,
    ],
  ];
  const good = CASES.find(({ name }) => name === "failures")?.bootstrap ?? "";
  const ports = Object.fromEntries(
    ["dead", "port", "admin", "a", "b", "slow", "reset", "garbage", "error"].map((name, i) => [
      name,
      20_000 + i,
    ]),
  );
  for (const [from, to, words] of refusals) {
    const file = await fileOf(t, filled(good.replace(from, to), ports));
    const { code, stderr } = await run([process.execPath, "src/weir.js", "proxy", "--config", file]);
    t.not(code, 0, to);
    t.match(stderr, words, to);
  }
});
