// Who the client is: what of a request's own account is believed, what is added to it, and what the upstream gets.
import { type Test, test } from "tap";
import { ClientFacts, type ClientRules, DEFAULT_CLIENT_RULES } from "../../src/proxy/admit/forwarded.ts";
import { RandomIds } from "../../src/proxy/admit/requestid.ts";
import { HeadParser, KIND, PARSED } from "../../src/proxy/http1/parse.ts";
import { type Json, recordingOrigin, startProxy, talk } from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

type Fields = Readonly<Record<string, string | string[] | undefined>>;

/** A proxy with those settings; sends a request with those field lines and gives what the upstream got, and the answer. */
async function asking(
  t: Test,
  hcm: Readonly<Record<string, Json>>,
): Promise<(...lines: string[]) => Promise<{ readonly got: Fields | undefined; readonly answer: string }>> {
  const origin = await recordingOrigin(t);
  const { port } = await startProxy(t, { clusters: { v1: [origin.port] }, hcm });
  return async (...lines) => {
    const before = origin.seen.length;
    const { text } = await talk(port, ["GET / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n"), ANSWERED);
    return { got: origin.seen[before]?.headers, answer: text };
  };
}

test("client: X-Forwarded-For gets the peer appended, X-Forwarded-Proto is written anew", async (t) => {
  const ask = await asking(t, { use_remote_address: true });
  t.match((await ask()).got, { "x-forwarded-for": "127.0.0.1", "x-forwarded-proto": "http" });
  const claimed = await ask(
    "X-Forwarded-For: 1.2.3.4",
    "x-forwarded-for: 5.6.7.8",
    "X-Forwarded-Proto: https",
  );
  t.match(claimed.got, { "x-forwarded-for": "1.2.3.4, 5.6.7.8, 127.0.0.1", "x-forwarded-proto": "http" });
});

test("client: behind trusted hops X-Forwarded-Proto and the request id hold", async (t) => {
  const ask = await asking(t, { use_remote_address: true, xff_num_trusted_hops: 1 });
  const told = await ask(
    "X-Forwarded-For: 1.2.3.4",
    "X-Forwarded-Proto: https",
    "X-Request-Id: from-the-edge",
  );
  t.match(told.got, {
    "x-forwarded-for": "1.2.3.4, 127.0.0.1",
    "x-forwarded-proto": "https",
    "x-request-id": "from-the-edge",
  });
  const silent = await ask();
  t.equal(silent.got?.["x-forwarded-proto"], "http");
  t.match(silent.got?.["x-request-id"], UUID);
});

test("client: the believed address is the entry of the outermost trusted hop, else the peer's", (t) => {
  const addressOf = (rules: Partial<ClientRules>, ...entries: string[]): string => {
    const lines = entries.map((entry) => `X-Forwarded-For: ${entry}\r\n`).join("");
    const bytes = Buffer.from(`GET / HTTP/1.1\r\nHost: a\r\n${lines}\r\n`);
    const parser = new HeadParser();
    parser.reset(KIND.REQUEST);
    t.equal(parser.run(bytes, 0, bytes.length), PARSED.DONE);
    const facts = new ClientFacts("192.0.2.1", false, new RandomIds());
    facts.admit(parser.head, { ...DEFAULT_CLIENT_RULES, ...rules });
    return facts.address.toString();
  };
  const one = { trustedHops: 1 };
  const two = { trustedHops: 2 };
  t.equal(addressOf({}, "1.1.1.1"), "192.0.2.1", "a stranger's word");
  t.equal(addressOf(one), "192.0.2.1", "no entry");
  t.equal(addressOf(one, "1.1.1.1"), "1.1.1.1");
  t.equal(addressOf(one, "1.1.1.1, 2.2.2.2"), "2.2.2.2");
  t.equal(addressOf(two, "1.1.1.1, 2.2.2.2"), "1.1.1.1");
  t.equal(addressOf(two, "0.0.0.0,1.1.1.1", " 2.2.2.2 "), "1.1.1.1", "over several fields");
  t.equal(addressOf(two, "2.2.2.2"), "192.0.2.1", "too few entries");
  t.equal(addressOf(one, "1.1.1.1, junk"), "192.0.2.1", "no address");
  t.equal(addressOf(one, "1.1.1.1, "), "192.0.2.1", "an empty entry");
  t.equal(addressOf(one, "2001:db8::1"), "2001:db8::1");
  t.equal(addressOf({ isEdge: false }, "1.1.1.1, 2.2.2.2"), "2.2.2.2", "the peer is a proxy itself");
  t.equal(addressOf({ isEdge: false, trustedHops: 1 }, "1.1.1.1, 2.2.2.2"), "1.1.1.1");
  t.end();
});

test("client: X-Forwarded-For can be kept as it came, or overwritten", async (t) => {
  const keep = await asking(t, { use_remote_address: true, skip_xff_append: true });
  t.equal((await keep("X-Forwarded-For: 1.2.3.4")).got?.["x-forwarded-for"], "1.2.3.4");
  t.equal((await keep()).got?.["x-forwarded-for"], undefined);
  const peer = await asking(t, { use_remote_address: false });
  const told = await peer("X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "x-weir-mark: 1");
  t.match(told.got, { "x-forwarded-for": "1.2.3.4", "x-forwarded-proto": "https", "x-weir-mark": "1" });
  const overwrite = await asking(t, {
    early_header_mutation_extensions: [removing("X-Forwarded-For", "forwarded")],
  });
  const removed = await overwrite("X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4");
  t.equal(removed.got?.["x-forwarded-for"], "127.0.0.1");
  t.equal(removed.got?.forwarded, undefined);
});

test("client: fields that are to be removed go whatever the length of their names, others of that length stay", async (t) => {
  const names = [1, 16, 30, 31, 32, 63, 64].map((length) => "a".repeat(length));
  const ask = await asking(t, { early_header_mutation_extensions: [removing(...names)] });
  const { got } = await ask(...names.flatMap((name) => [`${name}: 1`, `${name.replace(/.$/, "b")}: 1`]));
  t.strictSame(
    Object.keys(got ?? {}).filter((name) => /^a*[ab]$/.test(name)),
    names.map((name) => name.replace(/.$/, "b")),
  );
});

test("client: x-weir fields and request ids from outside are dropped, before routes are matched", async (t) => {
  const origin = await recordingOrigin(t);
  const { port } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    routes: [
      {
        match: { prefix: "/", headers: [{ name: "x-weir-mark", present_match: true }] },
        route: { cluster: "nowhere" },
      },
      { match: { prefix: "/" }, route: { cluster: "v1" } },
    ],
  });
  const lines = ["X-Weir-Mark: 1", "X-WEIR-Shadow: 1", "X-Weirdo: kept", "X-Request-Id: mine"];
  await talk(port, ["GET / HTTP/1.1", "Host: a", ...lines, "", ""].join("\r\n"), ANSWERED);
  const [seen] = origin.seen;
  t.equal(seen?.headers["x-weir-mark"], undefined);
  t.equal(seen?.headers["x-weir-shadow"], undefined);
  t.equal(seen?.headers["x-weirdo"], "kept");
  t.match(seen?.headers["x-request-id"], UUID);
});

test("client: each request gets an id of its own, none when not asked for, the client's when preserved", async (t) => {
  const ask = await asking(t, { always_set_request_id_in_response: true });
  const [one, two] = [await ask(), await ask()];
  t.not(one.got?.["x-request-id"], two.got?.["x-request-id"]);
  t.match(one.answer, new RegExp(`\\r\\nx-request-id: ${one.got?.["x-request-id"]}\\r\\n`));
  const none = await asking(t, { generate_request_id: false });
  t.equal((await none("X-Request-Id: mine")).got?.["x-request-id"], undefined);
  const kept = await asking(t, {
    preserve_external_request_id: true,
    always_set_request_id_in_response: true,
  });
  const mine = await kept("X-Request-Id: mine");
  t.equal(mine.got?.["x-request-id"], "mine");
  t.match(mine.answer, /\r\nx-request-id: mine\r\n/);
});

test("client: an answer of the proxy's own states the id too", async (t) => {
  const origin = await recordingOrigin(t);
  const { port } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    routes: [{ match: { prefix: "/only" }, route: { cluster: "v1" } }],
    hcm: { always_set_request_id_in_response: true, preserve_external_request_id: true },
  });
  const { text } = await talk(port, "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: q7\r\n\r\n", ANSWERED);
  t.match(text, /^HTTP\/1\.1 404 [\s\S]*\r\nx-request-id: q7\r\n/);
  const bad = await talk(
    port,
    "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: q8\r\nbad name: 1\r\n\r\n",
    ANSWERED,
  );
  t.match(bad.text, /^HTTP\/1\.1 400 /);
  t.notMatch(bad.text, /x-request-id/);
});

test("client: field names with an underscore pass, are dropped, or refuse the request", async (t) => {
  const options = (action: string): Readonly<Record<string, Json>> => ({
    common_http_protocol_options: { headers_with_underscores_action: action },
  });
  const allow = await asking(t, options("ALLOW"));
  t.equal((await allow("X_User: 1")).got?.x_user, "1");
  const drop = await asking(t, options("DROP_HEADER"));
  const dropped = await drop("X_User: 1", "X-User: 2", "Content_Length: 5", "y_: 3");
  t.match(dropped.got, { "x-user": "2" });
  for (const name of ["x_user", "content_length", "y_"]) t.notOk(name in (dropped.got ?? {}), name);
  const reject = await asking(t, options("REJECT_REQUEST"));
  t.match((await reject("X-User: 2")).answer, /^HTTP\/1\.1 200 /);
  t.match(
    (await reject("X_User: 1")).answer,
    /^HTTP\/1\.1 400 [\s\S]*x-weir-reason: field name with an underscore/,
  );
});

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;

test("trace: context is passed on as it came, and none is made unless asked for", async (t) => {
  const ask = await asking(t, {});
  const told = await ask(`Traceparent: ${PARENT}`, "tracestate: a=1", "Tracestate: b=2");
  t.match(told.got, { traceparent: PARENT, tracestate: "a=1, b=2" });
  t.equal((await ask("traceparent: junk")).got?.traceparent, "junk");
  t.equal((await ask()).got?.traceparent, undefined);
});

test("trace: where asked for, a request without valid context begins a trace of its own", async (t) => {
  const ask = await asking(t, { tracing: {} });
  const MADE = /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/;
  const [one, two] = [(await ask()).got?.traceparent, (await ask()).got?.traceparent];
  t.match(one, MADE);
  t.not(one, two);
  t.match((await ask(`traceparent: ${PARENT}`, "tracestate: a=1")).got, {
    traceparent: PARENT,
    tracestate: "a=1",
  });
  t.match((await ask(`traceparent: cc-${PARENT.slice(3)}-more`)).got?.traceparent, /^cc-/, "a later version");
  for (const bad of [
    PARENT.toUpperCase(),
    `${PARENT}-more`,
    PARENT.replace(TRACE, "0".repeat(32)),
    PARENT.replace("b7ad6b7169203331", "0".repeat(16)),
    `ff-${PARENT.slice(3)}`,
    PARENT.replaceAll("-", "_"),
    "",
  ]) {
    const { got } = await ask(`traceparent: ${bad}`, "tracestate: a=1");
    t.match(got?.traceparent, MADE, bad);
    t.equal(got?.tracestate, undefined, `no tracestate with ${bad}`);
  }
  const twice = await ask(`traceparent: ${PARENT}`, `traceparent: ${PARENT}`);
  t.match(twice.got?.traceparent, MADE, "a repeated field is no context");
});

test("trace: the share of sampled traces is the one asked for", async (t) => {
  const none = await asking(t, { tracing: { random_sampling: { value: 0 } } });
  for (let i = 0; i < 20; i++) t.match((await none()).got?.traceparent, /-00$/);
  const ids = new RandomIds();
  let below = 0;
  for (let i = 0; i < 100_000; i++) if (ids.uint32() < 2 ** 30) below += 1;
  t.ok(Math.abs(below - 25_000) < 1_000, `${below} of 100 000 at 25 %`);
  await t.rejects(asking(t, { tracing: { random_sampling: { value: 101 } } }), {
    message: /tracing\.random_sampling is not between/,
  });
  await t.rejects(asking(t, { tracing: { overall_sampling: { value: 1 } } }), {
    message: /overall_sampling/,
  });
});

function removing(...names: string[]): Json {
  return {
    name: "remove",
    typed_config: {
      "@type":
        "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
      mutations: names.map((remove) => ({ remove })),
    },
  };
}
