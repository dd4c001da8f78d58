// One case for each feature of docs/reference/policy.md: manifests as a user writes them, requests, and what must be seen. `HOST` stands for the
// case's host, `PORT` for the gateway's port. Backends `one` and `two` tell what they got (test/support/echo.ts); `slow` and `stuck` are
// Services of a backend that takes connections and never reads from them.

/** An answer, with the JSON that the echo wrote into it, if one did. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly echoed?: Echoed;
}

export interface Echoed {
  readonly backend: string;
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export interface AskOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Default: the case's. */
  readonly host?: string;
}

export interface RawConnection {
  send(text: string): void;
  /** Waits until what came so far matches; the text. */
  got(pattern: RegExp): Promise<string>;
  /** Resolves when the gateway has closed it; the text. */
  closed(): Promise<string>;
}

export interface Tools {
  /** Sends a request to the gateway under the case's host. */
  ask(path: string, options?: AskOptions): Promise<Answer>;
  /** What a backend got so far under the case's host (copies for it included). */
  seen(backend: "one" | "two"): Promise<readonly Echoed[]>;
  /** A connection to the gateway, for what is to be seen of it. */
  connection(): RawConnection;
  /** A figure of the gateway's /metrics: the sum over the lines that carry these labels. */
  metric(name: string, labels: Readonly<Record<string, string>>): Promise<number>;
  /** Waits until `look` gives something. */
  until<Found>(words: string, look: () => Promise<Found | undefined>): Promise<Found>;
  equal(found: unknown, wanted: unknown, words?: string): void;
  match(found: unknown, wanted: unknown, words?: string): void;
}

export interface Case {
  /** The first column of the table in docs/reference/policy.md. */
  readonly feature: string;
  /** Rules of the case's HTTPRoute, as YAML, indented by four. Default: everything to `one`. */
  readonly rules?: string;
  /** The case has a listener of its own on the Gateway `edge`, named LISTENER in its policies, to which its requests go. */
  readonly hasListener?: boolean;
  /** Specs of TrafficPolicies, as YAML, indented by two. */
  readonly policies?: readonly string[];
  check(tools: Tools): Promise<void>;
}

const TO_ONE = "backendRefs: [{ name: one, port: 80 }]";
const onRoute = (section: string): string => `  targetRefs: [{ kind: HTTPRoute, name: ROUTE }]\n  ${section}`;

export const CASES: readonly Case[] = [
  {
    feature: "time for an answer",
    rules: `
    - matches: [{ path: { value: /own } }]
      timeouts: { request: 150ms }
      ${TO_ONE}
    - ${TO_ONE}`,
    policies: [onRoute("timeouts: { request: 400ms }")],
    async check({ ask, equal }) {
      equal((await ask("/own?delay=3000")).status, 504, "the rule's own time");
      equal((await ask("/?delay=200")).status, 200, "within the policy's time");
      equal((await ask("/?delay=3000")).status, 504, "beyond it");
    },
  },
  {
    feature: "longest silence on an exchange",
    policies: [onRoute("timeouts: { idle: 200ms }")],
    async check({ ask, equal }) {
      equal((await ask("/?delay=3000")).status, 504);
      equal((await ask("/")).status, 200);
    },
  },
  {
    feature: "copies of requests",
    rules: `
    - filters:
        - { type: RequestMirror, requestMirror: { backendRef: { name: two, port: 80 } } }
      ${TO_ONE}`,
    async check({ ask, seen, until, equal, match }) {
      const { echoed } = await ask("/copied", { method: "POST", body: "hello" });
      match(echoed, { backend: "one", body: "hello" });
      const copies = await until("the copy arrives", async () => {
        const found = (await seen("two")).filter(({ url }) => url === "/copied");
        return found.length > 0 ? found : undefined;
      });
      equal(copies.length, 1);
      match(copies[0], { method: "POST", body: "hello", headers: { "x-weir-shadow": "1", host: /-shadow/ } });
    },
  },
  {
    feature: "`-shadow` behind the host of copies",
    rules: `
    - filters:
        - { type: RequestMirror, requestMirror: { backendRef: { name: two, port: 80 } } }
      ${TO_ONE}`,
    policies: [onRoute("mirrors: { hostSuffix: false }")],
    async check({ ask, seen, until, equal }) {
      await ask("/plain-host");
      const copy = await until("the copy arrives", async () =>
        (await seen("two")).find(({ url }) => url === "/plain-host"),
      );
      equal(copy.headers.host?.includes("-shadow"), false);
      equal(copy.headers["x-weir-shadow"], "1");
    },
  },
  {
    feature: "copies under way at a time",
    rules: `
    - filters:
        - { type: RequestMirror, requestMirror: { backendRef: { name: slow, port: 80 } } }
      ${TO_ONE}`,
    policies: [
      `  targetRefs: [{ kind: Service, name: slow }]
  mirrorBounds: { concurrent: 2 }`,
    ],
    async check({ ask, metric, until, equal }) {
      const times = await Promise.all(
        Array.from({ length: 8 }, async () => {
          const startMs = performance.now();
          equal((await ask("/?delay=0")).status, 200);
          return performance.now() - startMs;
        }),
      );
      equal(Math.max(...times) < 2_000, true, "nobody waits for a mirror that hangs");
      const skipped = () =>
        metric("weir_proxy_failures_total", { cluster: "default/slow:80/mirror", kind: "overflow" });
      await until("six copies are skipped", async () => ((await skipped()) === 6 ? true : undefined));
    },
  },
  {
    feature: "bytes of a copy that may wait",
    rules: `
    - filters:
        - { type: RequestMirror, requestMirror: { backendRef: { name: stuck, port: 80 } } }
      ${TO_ONE}`,
    policies: [`  targetRefs: [{ kind: Service, name: stuck }]\n  mirrorBounds: { bufferedBytes: 1000 }`],
    async check({ ask, metric, until, equal }) {
      // More than the sockets on the way take.
      const { status, echoed } = await ask("/", { method: "POST", body: "b".repeat(16_000_000) });
      equal([status, echoed?.body.length], [200, 16_000_000]);
      await until("the copy is given up", async () => {
        const given = await metric("weir_proxy_mirrors_behind_total", { cluster: "default/stuck:80/mirror" });
        return given === 1 ? true : undefined;
      });
    },
  },
];
