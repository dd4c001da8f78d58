// The quick-start's load generator: open loop (requests start on time whatever the answers do), spread over several gateways, in a
// process of its own. A refused connection is tried once on the next gateway. Prints one JSON line per second.
//
//   node load.ts --targets http://127.0.0.1:8000,http://127.0.0.1:8001 [--rate 200] [--host demo] [--path /] [--duration SECONDS]
//
// A line `mark NAME` on standard input ends the current phase (its sums are printed as {"phase": …}) and begins phase NAME.
// SIGTERM, SIGINT or the end of --duration print the last phase and the total, {"total": …}, and end the program.
import { Agent, request as send } from "node:http";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";

interface Settings {
  readonly targets: readonly URL[];
  readonly rate: number;
  readonly host: string | undefined;
  readonly path: string;
  readonly durationMs: number;
}

/** What one version answered. */
interface VersionTally {
  readonly statuses: Record<string, number>;
  firstMs: number;
  lastMs: number;
  firstErrorMs: number | undefined;
}

/** Counts over a time: a second, a phase, or all. */
interface Tally {
  readonly sinceMs: number;
  sent: number;
  /** Requests without an answer. Answers of status 5xx are not among them: see the versions. */
  failed: number;
  /** Refused connections that went to another gateway. */
  retried: number;
  /** Not sent, because MAX_IN_FLIGHT were under way. */
  skipped: number;
  readonly failures: Record<string, number>;
  readonly gateways: Record<string, number>;
  readonly versions: Record<string, VersionTally>;
  readonly latency: Uint32Array;
}

const TICK_MS = 5;
/** Bound of requests under way. */
const MAX_IN_FLIGHT = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
/** How long the end waits for answers. */
const DRAIN_MS = 3_000;
/** Latency buckets grow by 5 % from 0.1 ms: 300 of them reach beyond four minutes. */
const BUCKETS = 300;
const FIRST_BUCKET_MS = 0.1;
const GROWTH = Math.log(1.05);

function main(): void {
  const settings = readSettings();
  const book = createBook();
  const sender = createSender(settings, book);
  const startMs = performance.now();
  let issued = 0;
  const ticker = setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) / 1000) * settings.rate);
    for (; issued < due; issued += 1) sender.send();
  }, TICK_MS);
  const printer = setInterval(() => book.endSecond(sender.inFlight()), 1000);
  let isEnding = false;
  const end = (): void => {
    if (isEnding) return;
    isEnding = true;
    clearInterval(ticker);
    clearInterval(printer);
    const deadlineMs = performance.now() + DRAIN_MS;
    const wait = setInterval(() => {
      if (sender.inFlight() > 0 && performance.now() < deadlineMs) return;
      clearInterval(wait);
      book.endPhase("end");
      book.close(sender.inFlight());
      process.exit(0);
    }, 10);
  };
  createInterface({ input: process.stdin }).on("line", (line) => {
    const [word, name] = line.trim().split(/\s+/);
    if (word === "mark" && name !== undefined) book.endPhase(name);
    else console.error(`not understood: ${JSON.stringify(line)}; expected: mark NAME`);
  });
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  if (Number.isFinite(settings.durationMs)) setTimeout(end, settings.durationMs);
}

/** The sums of the present second, of the present phase and of all, and their lines. */
interface Book {
  /** Where a request that is sent now counts: in its phase, and in the second in which its answer comes, for a slow one outlives its own. */
  entry(): readonly Tally[];
  record(entry: readonly Tally[], change: (tally: Tally) => void): void;
  endSecond(inFlight: number): void;
  /** Prints the present phase and begins one of this name. */
  endPhase(next: string): void;
  close(inFlight: number): void;
}

function createBook(): Book {
  const total = newTally();
  let phase = { name: "start", tally: newTally() };
  let second = newTally();
  return {
    entry: () => [total, phase.tally],
    record(entry, change) {
      for (const tally of [...entry, second]) change(tally);
    },
    endSecond(inFlight) {
      print({ second: summary(second), phase: phase.name, inFlight });
      second = newTally();
    },
    endPhase(next) {
      print({ phase: phase.name, ...summary(phase.tally) });
      phase = { name: next, tally: newTally() };
    },
    close(inFlight) {
      print({ total: true, ...summary(total), inFlight });
    },
  };
}

interface Sender {
  /** Sends one request to the next gateway, whatever became of those before. */
  send(): void;
  inFlight(): number;
}

function createSender(settings: Settings, book: Book): Sender {
  const agent = new Agent({ keepAlive: true, maxSockets: 256, timeout: REQUEST_TIMEOUT_MS });
  let inFlight = 0;
  let next = 0;

  const issue = (index: number, triesLeft: number, mine: readonly Tally[]): void => {
    const target = settings.targets[index % settings.targets.length];
    if (target === undefined) return;
    const startedMs = performance.now();
    const request = send({
      host: target.hostname,
      port: target.port,
      path: settings.path,
      agent,
      timeout: REQUEST_TIMEOUT_MS,
      headers: settings.host === undefined ? {} : { host: settings.host },
    });
    let isOver = false;
    const finish = (change: (tally: Tally) => void): void => {
      if (isOver) return;
      isOver = true;
      inFlight -= 1;
      book.record(mine, change);
    };
    const fail = (reason: string): void =>
      finish((tally) => {
        tally.failed += 1;
        tally.failures[reason] = (tally.failures[reason] ?? 0) + 1;
      });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", (error: NodeJS.ErrnoException) => {
      if (isOver) return;
      // Refused: nothing was sent. Reset on a connection kept from before: its other end had closed it already.
      const wasNotSent =
        error.code === "ECONNREFUSED" || (error.code === "ECONNRESET" && request.reusedSocket);
      if (!wasNotSent || triesLeft === 0) return fail(error.code ?? error.message);
      isOver = true;
      book.record(mine, (tally) => {
        tally.retried += 1;
      });
      issue(index + 1, triesLeft - 1, mine);
    });
    request.on("response", (response) => {
      response.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
      response.on("aborted", () => fail("aborted"));
      response.on("end", () => {
        const version = String(response.headers["x-version"] ?? "none");
        const latencyMs = performance.now() - startedMs;
        finish((tally) => answered(tally, target, version, response.statusCode ?? 0, latencyMs));
      });
      response.resume();
    });
    request.end();
  };

  return {
    inFlight: () => inFlight,
    send() {
      const mine = book.entry();
      const isTooMany = inFlight >= MAX_IN_FLIGHT;
      book.record(mine, (tally) => {
        if (isTooMany) tally.skipped += 1;
        else tally.sent += 1;
      });
      if (isTooMany) return;
      inFlight += 1;
      next += 1;
      issue(next, settings.targets.length - 1, mine);
    },
  };
}

function newTally(): Tally {
  return {
    sinceMs: Date.now(),
    sent: 0,
    failed: 0,
    retried: 0,
    skipped: 0,
    failures: {},
    gateways: {},
    versions: {},
    latency: new Uint32Array(BUCKETS),
  };
}

function answered(tally: Tally, target: URL, version: string, status: number, latencyMs: number): void {
  const nowMs = Date.now();
  tally.gateways[target.host] = (tally.gateways[target.host] ?? 0) + 1;
  tally.versions[version] ??= { statuses: {}, firstMs: nowMs, lastMs: nowMs, firstErrorMs: undefined };
  const entry = tally.versions[version];
  entry.statuses[status] = (entry.statuses[status] ?? 0) + 1;
  entry.lastMs = nowMs;
  if (status >= 500) entry.firstErrorMs ??= nowMs;
  const bucket = Math.ceil(Math.log(Math.max(latencyMs, FIRST_BUCKET_MS) / FIRST_BUCKET_MS) / GROWTH);
  const index = Math.min(bucket, BUCKETS - 1);
  tally.latency[index] = (tally.latency[index] ?? 0) + 1;
}

function summary(tally: Tally): Readonly<Record<string, unknown>> {
  const answers = tally.latency.reduce((sum, count) => sum + count, 0);
  const latencyMs = {
    p50: quantile(tally, answers, 0.5),
    p90: quantile(tally, answers, 0.9),
    p99: quantile(tally, answers, 0.99),
  };
  const { sinceMs, sent, failed, retried, skipped, failures, gateways, versions } = tally;
  return {
    sinceMs,
    untilMs: Date.now(),
    sent,
    answers,
    failed,
    retried,
    skipped,
    failures,
    gateways,
    versions,
    latencyMs,
  };
}

/** Upper bound of the bucket in which the quantile lies; null without answers. */
function quantile(tally: Tally, answers: number, share: number): number | null {
  if (answers === 0) return null;
  let seen = 0;
  const index = tally.latency.findIndex((count) => {
    seen += count;
    return seen >= share * answers;
  });
  return Number((FIRST_BUCKET_MS * Math.exp(index * GROWTH)).toFixed(2));
}

function print(value: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

function readSettings(): Settings {
  const { values } = parseArgs({
    options: {
      targets: { type: "string" },
      rate: { type: "string", default: "200" },
      host: { type: "string" },
      path: { type: "string", default: "/" },
      duration: { type: "string" },
    },
  });
  const rate = Number(values.rate);
  const durationMs =
    values.duration === undefined ? Number.POSITIVE_INFINITY : Number(values.duration) * 1000;
  const targets = (values.targets ?? "")
    .split(",")
    .filter((text) => URL.canParse(text))
    .map((text) => new URL(text));
  if (targets.length === 0 || !(rate > 0 && rate <= 20_000) || !(durationMs > 0)) {
    console.error(
      "usage: load.ts --targets URL[,URL…] [--rate 1-20000] [--host NAME] [--path /PATH] [--duration SECONDS]",
    );
    process.exit(2);
  }
  return { targets, rate, host: values.host, path: values.path, durationMs };
}

main();
