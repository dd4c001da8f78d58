// Cases of test/e2e/policy.test.ts about what a listener allows its clients.
import type { Case } from "./policy.cases.ts";

const limits = (fields: string): readonly string[] => [
  `  targetRefs: [{ kind: Gateway, name: edge, sectionName: LISTENER }]\n  limits: { ${fields} }`,
];
const GET = "GET / HTTP/1.1\r\nHost: limits.test\r\n\r\n";
const ANSWERED = /^HTTP\/1\.1 \d{3} [\s\S]*\r\n\r\n/;

export const LIMIT_CASES: readonly Case[] = [
  {
    feature: "size of a request head",
    hasListener: true,
    policies: limits("headKilobytes: 2, headerCount: 8"),
    async check({ ask, equal, match }) {
      equal((await ask("/")).status, 200);
      const large = await ask("/", { headers: { "x-large": "l".repeat(2_100) } });
      equal([large.status, large.headers["x-weir-reason"]], [431, "head too large"]);
      const many = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`x-${index}`, "1"]));
      match(await ask("/", { headers: many }), {
        status: 431,
        headers: { "x-weir-reason": "too many fields" },
      });
      equal((await ask(`/${"t".repeat(1_000)}`)).status, 200, "a target within the head's size");
    },
  },
  {
    feature: "connections of clients",
    hasListener: true,
    policies: limits("connections: 1"),
    async check({ connection, equal }) {
      const first = connection();
      first.send(GET);
      await first.got(ANSWERED);
      equal(await connection().closed(), "", "the second is closed at once");
      first.send(GET);
      await first.got(/HTTP[\s\S]*HTTP/);
    },
  },
  {
    feature: "requests on one connection",
    hasListener: true,
    policies: limits("requestsPerConnection: 2"),
    async check({ connection, equal }) {
      const one = connection();
      one.send(GET.repeat(3));
      const text = await one.closed();
      equal(text.match(/^HTTP/gm)?.length, 2);
      equal(text.match(/^connection: close/gm)?.length, 1);
    },
  },
  {
    feature: "age of a connection",
    hasListener: true,
    policies: limits("connectionDuration: 300ms"),
    async check({ connection, match }) {
      const one = connection();
      one.send(GET);
      match(await one.closed(), ANSWERED, "served, and then closed");
    },
  },
  {
    feature: "length of an exchange",
    hasListener: true,
    rules: `
    - name: long
      matches: [{ path: { value: /long } }]
      backendRefs: [{ name: one, port: 80 }]
    - backendRefs: [{ name: one, port: 80 }]`,
    policies: [
      ...limits("streamDuration: 300ms"),
      "  targetRefs: [{ kind: HTTPRoute, name: ROUTE, sectionName: long }]\n  timeouts: { stream: 2s }",
    ],
    async check({ ask, equal }) {
      equal((await ask("/")).status, 200);
      equal((await ask("/?delay=3000")).status, 504);
      equal((await ask("/long?delay=600")).status, 200, "beyond the Gateway's, within the rule's own");
      equal((await ask("/long?delay=5000")).status, 504);
    },
  },
];
