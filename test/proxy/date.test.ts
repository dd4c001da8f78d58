// Date: whose answers get one from the proxy, and that nobody gets two.
import { test } from "tap";
import { DateLine } from "../../src/proxy/http1/dateline.ts";
import { MemoryProxy } from "./inprocess.ts";
import { type Json, rawOrigin, scripted, startProxy, talk } from "./support.ts";

const ASKED = [Buffer.from("GET / HTTP/1.1\r\nhost: a\r\n\r\n")];
const NEW_YEAR = "date: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

function datesIn(text: string): readonly string[] {
  return text.match(/^date: [^\r]*\r\n/gim) ?? [];
}

test("date: an answer that has one keeps it, and any other gets the proxy's", (t) => {
  const proxy = new MemoryProxy();
  const dates = (...lines: readonly string[]): readonly string[] => {
    const answer = ["HTTP/1.1 200 OK", ...lines, "content-length: 0", "", ""].join("\r\n");
    return datesIn(proxy.run(ASKED, () => [answer]).client.text);
  };
  t.strictSame(dates(), [NEW_YEAR]);
  t.strictSame(dates("x-a: 1", "connection: keep-alive"), [NEW_YEAR]);
  t.strictSame(dates("Date: yesterday"), ["Date: yesterday\r\n"]);
  t.strictSame(dates("DATE : yesterday"), ["DATE: yesterday\r\n"], "a line that is written anew");
  t.strictSame(dates("date: yesterday", "connection: date"), [NEW_YEAR], "it was for the proxy alone");
  const interim = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
  t.strictSame(
    datesIn(proxy.run(ASKED, () => [interim]).client.text),
    [NEW_YEAR],
    "once, on the final answer",
  );
  t.strictSame(
    datesIn(new MemoryProxy({ isUnreachable: true }).run(ASKED, () => []).client.text),
    [NEW_YEAR],
    "an answer of the proxy's own",
  );
  t.end();
});

test("date: what a route says about it is the last word", async (t) => {
  const origin = await rawOrigin(t, scripted(["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"]));
  const to = (path: string, more: Readonly<Record<string, Json>>): Json => ({
    match: { path },
    route: { cluster: "a" },
    ...more,
  });
  const { port } = await startProxy(t, {
    clusters: { a: [origin.port] },
    routes: [
      to("/set", { response_headers_to_add: [{ header: { key: "Date", value: "never" } }] }),
      to("/gone", { response_headers_to_remove: ["date"] }),
      to("/other", { response_headers_to_add: [{ header: { key: "x-a", value: "1" } }] }),
    ],
  });
  const dates = async (path: string): Promise<readonly string[]> => {
    const request = `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;
    return datesIn((await talk(port, request, { until: /\r\n\r\n/ })).text);
  };
  t.strictSame(await dates("/set"), ["date: never\r\n"]);
  t.strictSame(await dates("/gone"), []);
  t.match(await dates("/other"), [/^date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n$/]);
});

test("date: the line is written once a second", (t) => {
  const line = new DateLine();
  const first = line.at(Date.UTC(2026, 0, 1) + 999);
  t.equal(first.toString(), NEW_YEAR);
  t.equal(line.at(Date.UTC(2026, 0, 1)), first, "the same bytes within the second");
  t.equal(line.at(Date.UTC(2026, 0, 1) + 1000).toString(), NEW_YEAR.replace("00 GMT", "01 GMT"));
  t.end();
});
