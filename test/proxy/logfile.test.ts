// The file of an access log: when lines reach it, what is dropped, and that no value can break a line.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { type Test, test } from "tap";
import { createLogger } from "../../src/lib/log.ts";
import { ClientFacts, DEFAULT_CLIENT_RULES } from "../../src/proxy/admit/forwarded.ts";
import { Core } from "../../src/proxy/core.ts";
import { HeadParser, KIND, PARSED } from "../../src/proxy/http1/parse.ts";
import { AccessLog } from "../../src/proxy/observe/accesslog.ts";
import type { LogFile } from "../../src/proxy/observe/logfile.ts";
import { jsonFormat, type LogFormat, textFormat } from "../../src/proxy/observe/logformat.ts";
import { createManualClock } from "../support/clock.ts";
import { eventually } from "./support.ts";

async function bed(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), "weir-log-"));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const clock = createManualClock();
  const warnings: string[] = [];
  const core = new Core({
    clock,
    log: createLogger({ level: "warn", write: (line) => warnings.push(line) }),
  });
  core.deadlines.start();
  const count = (result: string): number =>
    core.tallies.all().find(({ labels }) => labels[0] === result)?.value ?? 0;
  return { path: join(folder, "log"), clock, core, warnings, count };
}

function put(file: LogFile, line: string): boolean {
  const size = Buffer.byteLength(line) + 1;
  if (!file.begin(size)) return false;
  file.end(file.at + file.bytes.write(`${line}\n`, file.at));
  return true;
}

const refuse = (why: string): never => {
  throw new Error(why);
};

test("log file: a line is written after a second at the latest", async (t) => {
  const { path, clock, core, count } = await bed(t);
  const file = core.logs.open(path);
  put(file, "one");
  await clock.advance(900);
  t.equal(await readFile(path, "utf8"), "");
  await clock.advance(400);
  await eventually(async () => (await readFile(path, "utf8")) === "one\n", "the line is there");
  put(file, "two");
  await core.logs.close();
  t.equal(await readFile(path, "utf8"), "one\ntwo\n", "the rest is written when it closes");
  t.equal(count("written"), 2);
  t.equal(put(file, "three"), false, "and nothing after that");
  core.deadlines.stop();
});

test("log file: while a batch is being written and the other is full, lines are dropped and counted", async (t) => {
  const { path, core, count } = await bed(t);
  const file = core.logs.open(path);
  // No write can end within one turn: this is what a disk that hangs looks like.
  const line = "x".repeat(1_023);
  let kept = 0;
  for (let i = 0; i < 400; i++) if (put(file, line)) kept += 1;
  t.ok(kept > 160 && kept < 200, `${kept} of 400 lines are kept`);
  t.equal(count("dropped"), 400 - kept);
  await eventually(() => count("written") >= 32, "the first batch is written");
  t.ok(put(file, "more"), "then there is room again");
  await core.logs.close();
  t.equal(count("written"), kept + 1, "the rest is written when it closes");
  t.equal((await readFile(path, "utf8")).split("\n").length - 1, kept + 1);
  t.equal(put(file, "y".repeat(200_000)), false, "a line longer than a batch is dropped");
  core.deadlines.stop();
});

test("log file: one per path, closed when nobody needs it; failures are warned about once", async (t) => {
  const { path, core, warnings, clock, count } = await bed(t);
  t.equal(core.logs.open(path), core.logs.open(path));
  const full = core.logs.open("/dev/full");
  for (const line of ["a", "b"]) put(full, line);
  core.logs.keep(new Set(["/dev/full"]));
  await clock.advance(2_000);
  await eventually(() => count("dropped") === 2, "the lines are dropped");
  put(full, "c");
  await clock.advance(2_000);
  await eventually(() => count("dropped") === 3, "so is the next");
  t.equal(warnings.filter((line) => line.includes("are dropped")).length, 1);
  await core.logs.close();
  for (let i = 0; i < 32; i++) core.logs.open(`${path}.${i}`);
  t.throws(() => core.logs.open(`${path}.x`), { message: /one more than the 32 files/ });
  await core.logs.close();
  core.deadlines.stop();
});

test("access log: whatever bytes a field holds, a line is one line and says them", async (t) => {
  const { path, core } = await bed(t);
  const lineOf = (format: LogFormat, value: Buffer): Buffer => {
    const file = core.logs.open(path);
    const log = new AccessLog(file, format, (ms) => ms);
    const raw = Buffer.concat([
      Buffer.from("GET / HTTP/1.1\r\nHost: a\r\nX-A: "),
      value,
      Buffer.from("\r\n\r\n"),
    ]);
    const parser = new HeadParser();
    parser.reset(KIND.REQUEST);
    if (parser.run(raw, 0, raw.length) !== PARSED.DONE) throw new Error("the head is refused");
    const client = new ClientFacts("127.0.0.1", false, core.ids);
    client.admit(parser.head, DEFAULT_CLIENT_RULES);
    const at = file.at;
    log.end(log.begin(parser.head, client));
    const line = Buffer.from(file.bytes.subarray(at, file.at));
    file.at = at;
    return line;
  };
  const json = jsonFormat({ a: "%REQ(X-A)%", b: "<%REQ(X-A)%>" }, false, refuse);
  const text = textFormat("%REQ(X-A)%", refuse);
  const byte = fc
    .integer({ min: 0, max: 255 })
    .filter((code) => code === 9 || (code >= 0x20 && code !== 0x7f));
  fc.assert(
    fc.property(fc.array(byte, { minLength: 1, maxLength: 200 }), (codes) => {
      const value = Buffer.from(codes);
      const shown = value.toString("latin1").replace(/^[ \t]+|[ \t]+$/g, "");
      if (shown === "") return;
      const line = lineOf(json, value);
      t.ok(line.indexOf(10) === line.length - 1 && line.every((one) => one < 0x7f), "one line of ASCII");
      t.strictSame(JSON.parse(line.toString()), { a: shown, b: `<${shown}>` });
      const escaped = lineOf(text, value).toString();
      t.match(escaped, /^[\x20-\x7e]*\n$/);
      t.equal(
        escaped
          .slice(0, -1)
          .replace(/\\x([0-9a-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
        shown,
      );
    }),
    { seed: 1, numRuns: 300 },
  );
  await core.logs.close();
  core.deadlines.stop();
});
