// Staying with a version, over sockets: by cookie, header and address; what goes before it; and what is refused.
import { type Test, test } from "tap";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { CONFIG_REJECTED, createProxy } from "../../src/proxy/server.ts";
import { BootstrapSchema, fromJson, registry } from "../../src/xds/types.ts";
import { bootstrapOf, type Json, recordingOrigin, startProxy, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]+$/ };

/** A proxy that splits between `canary` and `stable`; `ask` gives what an answer says of itself. */
async function splitProxy(
  t: Test,
  weights: readonly [number, number],
  action: Readonly<Record<string, Json>>,
) {
  const named = async (name: string): Promise<number> =>
    (await recordingOrigin(t, (_seen, response) => response.end(`<${name}>`))).port;
  const clusters = { canary: [await named("canary")], stable: [await named("stable")] };
  const [canary, stable] = weights;
  const { port, proxy } = await startProxy(t, {
    clusters,
    routes: [
      {
        match: { prefix: "/", headers: [{ name: "x-force", string_match: { exact: "canary" } }] },
        route: { cluster: "canary" },
      },
      {
        match: { prefix: "/" },
        metadata: { filter_metadata: { "weir.dev": { salt: "shop/web/6f5d9" } } },
        route: {
          weighted_clusters: {
            clusters: [
              { name: "canary", weight: canary },
              { name: "stable", weight: stable },
            ],
            use_hash_policy: true,
          },
          ...action,
        },
      },
    ],
  });
  const ask = async (...fields: readonly string[]) => {
    const lines = ["GET / HTTP/1.1", "Host: a", "Connection: close", ...fields];
    const { text } = await talk(port, `${lines.join("\r\n")}\r\n\r\n`, ANSWERED);
    return {
      version: /<(\w+)>/.exec(text)?.[1],
      cookie: /^set-cookie: (.*)\r$/im.exec(text)?.[1],
    };
  };
  return { ask, proxy };
}

test("sticky: a client without the cookie is given one, and stays with its version", async (t) => {
  const cookie = {
    name: "seat",
    ttl: "3600s",
    path: "/shop",
    attributes: [{ name: "SameSite", value: "Lax" }, { name: "Secure" }],
  };
  const { ask } = await splitProxy(t, [50, 50], { hash_policy: [{ cookie }] });
  const versions = new Set<string | undefined>();
  const values = new Set<string | undefined>();
  for (let client = 0; client < 20; client++) {
    const first = await ask("cookie: other=1");
    t.match(first.cookie, /^seat=[0-9a-f]{32}; Max-Age=3600; Path=\/shop; SameSite=Lax; Secure; HttpOnly$/);
    const value = /seat=(\w+)/.exec(first.cookie ?? "")?.[1] ?? "";
    versions.add(first.version);
    values.add(value);
    for (const spelt of [
      `cookie: seat=${value}`,
      `Cookie: a=1; seat="${value}"; b=2`,
      `cookie: x=y\r\ncookie: seat=${value}`,
    ]) {
      const again = await ask(spelt);
      t.equal(again.version, first.version, spelt);
      t.equal(again.cookie, undefined, "nothing is issued twice");
    }
  }
  t.strictSame([...versions].sort(), ["canary", "stable"]);
  t.equal(values.size, 20, "every client has a cookie of its own");
});

test("sticky: a cookie without a lifetime is not issued, and without it chance decides", async (t) => {
  const { ask } = await splitProxy(t, [50, 50], { hash_policy: [{ cookie: { name: "seat" } }] });
  const seen = new Set<string | undefined>();
  for (let i = 0; i < 30; i++) {
    const { version, cookie } = await ask("cookie: seat=");
    t.equal(cookie, undefined);
    seen.add(version);
  }
  t.strictSame([...seen].sort(), ["canary", "stable"]);
  const { version } = await ask("cookie: seat=me");
  for (let i = 0; i < 5; i++) t.equal((await ask("cookie: seat=me")).version, version);
});

test("sticky: a session cookie has no Max-Age", async (t) => {
  const { ask } = await splitProxy(t, [50, 50], { hash_policy: [{ cookie: { name: "seat", ttl: "0s" } }] });
  t.match((await ask()).cookie, /^seat=[0-9a-f]{32}; HttpOnly$/);
});

test("sticky: a header decides by its value; a request without it goes by chance", async (t) => {
  const { ask } = await splitProxy(t, [2_000, 8_000], {
    hash_policy: [{ header: { header_name: "X-User" } }],
  });
  // Golden: bob is at 3 245, alice at 828, of 10 000.
  for (let i = 0; i < 3; i++) {
    t.equal((await ask("x-user: alice")).version, "canary");
    t.equal((await ask("X-USER: bob")).version, "stable");
  }
  const several = await ask("x-user: carol", "x-user: dave");
  t.equal((await ask("x-user: dave", "x-user: carol")).version, several.version, "order does not matter");
  const seen = new Set<string | undefined>();
  for (let i = 0; i < 60; i++) seen.add((await ask()).version);
  t.strictSame([...seen].sort(), ["canary", "stable"]);
});

test("sticky: a client's address decides", async (t) => {
  const policy = { hash_policy: [{ connection_properties: { source_ip: true } }] };
  const { ask } = await splitProxy(t, [5_000, 5_000], policy);
  const seen = new Set<string | undefined>();
  for (let i = 0; i < 10; i++) seen.add((await ask(`x-user: ${i}`)).version);
  t.equal(seen.size, 1);
});

test("sticky: the first terminal key that is there decides alone", async (t) => {
  const { ask } = await splitProxy(t, [2_000, 8_000], {
    hash_policy: [
      { header: { header_name: "x-user" }, terminal: true },
      { cookie: { name: "seat", ttl: "0s" } },
    ],
  });
  const known = await ask("x-user: alice");
  t.strictSame([known.version, known.cookie], ["canary", undefined]);
  t.equal((await ask("x-user: alice", "cookie: seat=1")).version, "canary");
  t.match((await ask()).cookie, /^seat=/);
});

test("sticky: a header rule goes before the sticky key, and weight 0 gets nobody", async (t) => {
  const { ask } = await splitProxy(t, [0, 100], { hash_policy: [{ header: { header_name: "x-user" } }] });
  for (let user = 0; user < 30; user++) {
    t.equal((await ask(`x-user: ${user}`)).version, "stable");
    t.equal((await ask(`x-user: ${user}`, "x-force: canary")).version, "canary");
  }
});

test("sticky: what cannot be carried out is refused with its path", (t) => {
  const cases: readonly (readonly [policy: Json, message: RegExp])[] = [
    [{ header: { header_name: ":path" } }, /hash_policy\[0\]\.header\.header_name is no name of a field/],
    [
      { header: { header_name: "x", regex_rewrite: { substitution: "y" } } },
      /hash_policy\[0\]\.header\.regex_rewrite is not supported/,
    ],
    [{ cookie: { name: "a b" } }, /hash_policy\[0\]\.cookie\.name is no name of a cookie/],
    [{ cookie: { name: "a", ttl: "-1s" } }, /cookie\.ttl is below 0/],
    [{ cookie: { name: "a", ttl: "1s", path: "/; Domain=x" } }, /cookie\.path has a byte/],
    [
      { cookie: { name: "a", attributes: [{ name: "ok" }, { name: "x", value: "1\r\nx: y" }] } },
      /cookie\.attributes\[1\] is no attribute/,
    ],
    [{ query_parameter: { name: "q" } }, /hash_policy\[0\]\.query_parameter is not supported/],
    [{ filter_state: { key: "q" } }, /hash_policy\[0\]\.filter_state is not supported/],
    [{ terminal: true }, /hash_policy\[0\] names no header, cookie or source address/],
  ];
  for (const [policy, message] of cases) {
    const routes = [{ match: { prefix: "/" }, route: { cluster: "a", hash_policy: [policy] } }];
    const bootstrap = fromJson(BootstrapSchema, bootstrapOf({ clusters: { a: [1] }, routes }), { registry });
    t.throws(
      () => createProxy(bootstrap, { clock: systemClock, log: silentLogger }),
      { code: CONFIG_REJECTED, message },
      String(message),
    );
  }
  t.end();
});
