// Access log: what a line says, that no value can break it, and what becomes of lines when the file cannot take them.
import { mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Test, test } from "tap";
import { REFUSAL } from "../../src/proxy/http1/parse.ts";
import { REPLY, type Reply } from "../../src/proxy/http1/reply.ts";
import { textFormat } from "../../src/proxy/observe/logformat.ts";
import type { ProxyServer } from "../../src/proxy/server.ts";
import {
  closedPort,
  eventually,
  type Json,
  rawOrigin,
  recordingOrigin,
  scripted,
  startProxy,
  talk,
} from "./support.ts";

const ANSWERED = { until: /\r\n\r\n[\s\S]*$/ };
const TYPE = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog";

async function folder(t: Test): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "weir-log-"));
  t.teardown(() => rm(made, { recursive: true, force: true }));
  return made;
}

const logging = (path: string, format: Record<string, Json> = {}): Record<string, Json> => ({
  access_log: [{ name: "file", typed_config: { "@type": TYPE, path, ...format } }],
});
const asText = (text: string): Record<string, Json> => ({
  log_format: { text_format_source: { inline_string: text } },
});
const asJson = (json: Json): Record<string, Json> => ({ log_format: { json_format: json } });

/** The log's lines, once the proxy has stopped: then all of them are written. */
async function linesOf(proxy: ProxyServer, path: string): Promise<string[]> {
  await proxy.stop();
  return (await readFile(path, "latin1")).split("\n").slice(0, -1);
}

test("access log: the default line is Envoy's", async (t) => {
  const path = join(await folder(t), "access.log");
  const origin = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    hcm: { ...logging(path), preserve_external_request_id: true },
  });
  await talk(
    port,
    "POST /a?b=c HTTP/1.1\r\nHost: Shop:80\r\nUser-Agent: me\r\nX-Request-Id: q1\r\nX-Forwarded-For: 1.2.3.4\r\nContent-Length: 5\r\n\r\nhello",
    { until: /hello$/ },
  );
  const [line] = await linesOf(proxy, path);
  t.match(
    line,
    new RegExp(
      `^\\[\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z\\] "POST /a\\?b=c HTTP/1\\.1" 200 - 5 5 \\d+ "1\\.2\\.3\\.4, 127\\.0\\.0\\.1" "me" "q1" "Shop:80" "127\\.0\\.0\\.1:${origin.port}"$`,
    ),
  );
  t.ok(Math.abs(Date.parse(line?.slice(1, 25) ?? "") - Date.now()) < 60_000, "the time is the wall clock's");
});

test("access log: JSON keeps numbers and nulls, whatever the values hold", async (t) => {
  const path = join(await folder(t), "access.json");
  const origin = await recordingOrigin(t, (seen, response) =>
    response.setHeader("x-version", "two").end(seen.body),
  );
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    routes: [{ name: 'shop "1"', match: { prefix: "/" }, route: { cluster: "v1" } }],
    hcm: logging(
      path,
      asJson({
        at: "%START_TIME%",
        request: "%REQ(:METHOD)% %REQ(:PATH)%",
        agent: "%REQ(User-Agent):6%",
        other: "%REQ(X-None?X-Other)%",
        none: "%REQ(X-None)%",
        status: "%RESPONSE_CODE%",
        details: "%RESPONSE_CODE_DETAILS%",
        bytes: ["%BYTES_RECEIVED%", "%BYTES_SENT%"],
        version: "%RESP(X-Version)%",
        route: "%ROUTE_NAME%",
        cluster: "%UPSTREAM_CLUSTER%",
        attempts: "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        percent: "100%%",
        fixed: { is: true, n: 1 },
      }),
    ),
  });
  const agent = '"\\\t\u00e9x-cut';
  await talk(port, `GET /"\\ HTTP/1.1\r\nHost: a\r\nUser-Agent: ${agent}\r\nX-Other: o\r\n\r\n`, ANSWERED);
  const [line] = await linesOf(proxy, path);
  t.match(line, /^[\x20-\x7e]+$/, "plain ASCII");
  t.match(JSON.parse(line ?? ""), {
    at: /^\d{4}-/,
    request: 'GET /"\\',
    agent: '"\\\t\u00e9x-',
    other: "o",
    none: null,
    status: 200,
    details: "via upstream",
    bytes: [0, 0],
    version: "two",
    route: 'shop "1"',
    cluster: "v1",
    attempts: 1,
    percent: "100%",
    fixed: { is: true, n: 1 },
  });
});

test("access log: JSON in the order of its names, and typed", async (t) => {
  const made = await folder(t);
  const origin = await recordingOrigin(t);
  const json = { z: "%RESPONSE_CODE%", a: "%REQ(:PATH)%", m: { y: "1", b: "2" } };
  const line = async (name: string, format: Record<string, Json>): Promise<string | undefined> => {
    const path = join(made, name);
    const { port, proxy } = await startProxy(t, {
      clusters: { v1: [origin.port] },
      hcm: logging(path, format),
    });
    await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERED);
    return (await linesOf(proxy, path))[0];
  };
  t.equal(
    await line("sorted", {
      log_format: { json_format: json, json_format_options: { sort_properties: true } },
    }),
    '{"a":"/","m":{"b":"2","y":"1"},"z":200}',
  );
  t.equal(await line("typed", { typed_json_format: { code: "%RESPONSE_CODE%" } }), '{"code":200}');
});

test("access log: in text, quotes, backslashes and control bytes are escaped", async (t) => {
  const path = join(await folder(t), "access.log");
  const origin = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    hcm: logging(path, asText('"%REQ(X-A)%" %REQ(X-B)% %RESPONSE_CODE_DETAILS%')),
  });
  await talk(port, 'GET / HTTP/1.1\r\nHost: a\r\nX-A: q" 500 "\\x\t\u00e9\r\n\r\n', ANSWERED);
  t.strictSame(await linesOf(proxy, path), ['"q\\x22 500 \\x22\\x5cx\\x09\\xe9" - via_upstream']);
});

test("access log: the trace id is the request's, or that of the trace that began here", async (t) => {
  const path = join(await folder(t), "access.log");
  const origin = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    hcm: { ...logging(path, asText("%TRACE_ID%")), tracing: {} },
  });
  const trace = "0af7651916cd43dd8448eb211c80319c";
  await talk(
    port,
    `GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-${trace}-b7ad6b7169203331-01\r\n\r\n`,
    ANSWERED,
  );
  await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERED);
  const made = `${origin.seen[1]?.headers.traceparent}`.slice(3, 35);
  t.strictSame(await linesOf(proxy, path), [trace, made]);
});

test("access log: each way a request can fail has its flag and words", async (t) => {
  const path = join(await folder(t), "access.log");
  const cut = await rawOrigin(t, scripted(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart"], true));
  const bad = await rawOrigin(t, scripted(["HTTP/1.1 x\r\n\r\n"]));
  const gone = await rawOrigin(t, (socket) => socket.once("data", () => socket.resetAndDestroy()));
  const silent = await rawOrigin(t, (socket) => socket.resume());
  const ports = {
    cut: cut.port,
    bad: bad.port,
    gone: gone.port,
    silent: silent.port,
    dead: await closedPort(),
  };
  const { port, proxy } = await startProxy(t, {
    clusters: { ...Object.fromEntries(Object.entries(ports).map(([name, at]) => [name, [at]])), none: [] },
    routes: [...Object.keys(ports), "none", "missing"].map((cluster) => ({
      match: { prefix: `/${cluster}` },
      route: { cluster, timeout: cluster === "silent" ? "0.2s" : "9s" },
    })),
    hcm: logging(
      path,
      asText("%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_SENT% %RESPONSE_CODE_DETAILS%"),
    ),
  });
  for (const target of ["/cut", "/bad", "/gone", "/silent", "/dead", "/none", "/missing", "/nowhere"])
    await talk(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  await talk(port, "GET / HTTP/1.1\r\nHost: a\r\nbad name: 1\r\n\r\n");
  await talk(port, "POST /silent HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n");
  await talk(port, "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n", { isEnded: true });
  await talk(port, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n");
  t.strictSame(await linesOf(proxy, path), [
    "/cut 200 UC 4 upstream_closed_the_connection_before_it_answered",
    "/bad 502 UPE 30 upstream_answer_was_malformed",
    "/gone 502 UC 50 upstream_closed_the_connection_before_it_answered",
    "/silent 504 UT 25 upstream_request_timeout",
    "/dead 503 UF 27 upstream_connection_failed",
    "/none 503 UH 20 no_healthy_upstream",
    "/missing 503 NC 16 no_such_cluster",
    "/nowhere 404 NR 32 no_route_for_this_host_and_path",
    "- 400 DPE 21 malformed_field_name",
    "/silent 400 DPE 16 malformed_chunk",
    "/silent 0 DC 0 the_client_closed_the_connection",
    "- 405 - 27 CONNECT_is_not_served_here",
  ]);
});

test("access log: a last try that failed too is marked, before its own reason", async (t) => {
  const path = join(await folder(t), "access.log");
  const sick = await rawOrigin(t, scripted(["HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"]));
  const retry = (retry_on: string) => ({
    retry_on,
    num_retries: 1,
    retry_back_off: { base_interval: "0.001s" },
  });
  const { port, proxy } = await startProxy(t, {
    clusters: { sick: [sick.port], dead: [await closedPort()] },
    routes: [
      { match: { prefix: "/sick" }, route: { cluster: "sick", retry_policy: retry("5xx") } },
      { match: { prefix: "/dead" }, route: { cluster: "dead", retry_policy: retry("connect-failure") } },
      { match: { prefix: "/once" }, route: { cluster: "sick" } },
    ],
    hcm: logging(
      path,
      asText("%REQ(:PATH)% %RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_REQUEST_ATTEMPT_COUNT%"),
    ),
  });
  for (const target of ["/sick", "/dead", "/once"])
    await talk(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
  t.strictSame(await linesOf(proxy, path), ["/sick 503 URX 2", "/dead 503 URX,UF 2", "/once 503 - 1"]);
});

test("access log: every flag is documented", async (t) => {
  const text = await readFile(join(import.meta.dirname, "../../docs/reference/accesslog.md"), "utf8");
  const answers: readonly Reply[] = [...Object.values(REPLY), ...Object.values(REFUSAL)];
  for (const flag of new Set(answers.map(({ flag }) => flag ?? "")))
    t.ok(flag === "" || text.includes(`| \`${flag}\` |`), flag);
});

test("access log: one line per request of a connection, bodies counted, in order", async (t) => {
  const path = join(await folder(t), "access.log");
  const origin = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    hcm: logging(path, asText("%REQ(:PATH)% %BYTES_RECEIVED% %BYTES_SENT%")),
  });
  const post = (target: string, body: string): string =>
    `POST ${target} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const big = "x".repeat(100_000);
  await talk(
    port,
    `${post("/1", "hello")}${post("/2", big)}GET /3 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
  );
  t.strictSame(await linesOf(proxy, path), ["/1 5 5", "/2 100000 100000", "/3 0 0"]);
});

test("access log: a full disk drops lines and counts them, and traffic goes on", async (t) => {
  const origin = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    hasAdmin: true,
    limits: { drainMs: 50 },
    hcm: logging("/dev/full", asText(`%REQ(:PATH)% ${"y".repeat(2_000)}`)),
  });
  const metrics = async (): Promise<string> =>
    (await fetch(`http://127.0.0.1:${proxy.adminPort}/metrics`)).text();
  for (let i = 0; i < 40; i++) await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERED);
  let text = "";
  await eventually(async () => {
    text = await metrics();
    return /lines_total\{result="dropped"\} [1-9]/.test(text);
  }, "lines are dropped");
  t.match(text, /weir_proxy_access_log_lines_total\{result="written"\} 0\n/);
  t.match((await talk(port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERED)).text, /^HTTP\/1\.1 200 /);
});

test("access log: reopened after a rotation, later lines go to the new file", async (t) => {
  const path = join(await folder(t), "access.log");
  const origin = await recordingOrigin(t);
  const { port, proxy } = await startProxy(t, {
    clusters: { v1: [origin.port] },
    hcm: logging(path, asText("%REQ(:PATH)%")),
  });
  await talk(port, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERED);
  await rename(path, `${path}.1`);
  proxy.reopenLogs();
  await talk(port, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n", ANSWERED);
  t.strictSame(await linesOf(proxy, path), ["/2"]);
  t.equal(await readFile(`${path}.1`, "utf8"), "/1\n");
});

test("access log: a file that cannot be opened, or a command that is not known, is refused by name", async (t) => {
  const origin = await recordingOrigin(t);
  const starting = (hcm: Record<string, Json>): Promise<unknown> =>
    startProxy(t, { clusters: { v1: [origin.port] }, hcm });
  await t.rejects(starting(logging("/nowhere/access.log")), {
    message: /\/nowhere\/access\.log" cannot be opened/,
  });
  const at = "filter_chains\\[0\\]\\.filters\\[0\\]\\.typed_config\\.access_log\\[0\\]\\.typed_config";
  for (const [format, why] of [
    ["%NONSENSE%", "has %NONSENSE%, which this proxy does not know"],
    ["%START_TIME(%s)%", "has a % that begins no command"],
    ["%REQ()%", "has %REQ\\(\\)%, which names no field"],
    ["100%", "has a % that begins no command"],
  ] as const)
    await t.rejects(
      starting(logging("/dev/null", asText(format))),
      { message: new RegExp(`${at} ${why}`) },
      format,
    );
  const more = logging("/dev/null");
  await t.rejects(starting({ access_log: [more, more].flatMap((one) => one.access_log as Json[]) }), {
    message: /more than one log/,
  });
  t.end();
});

test("access log: a format is cut into as few parts as it has commands", (t) => {
  const { parts } = textFormat("a%%b %REQ(X)%c%RESPONSE_CODE%", () => t.fail());
  t.strictSame(
    parts.map(({ text }) => Buffer.from(text).toString()),
    ["a%b ", "x", "c", "", "\n"],
  );
  t.end();
});
