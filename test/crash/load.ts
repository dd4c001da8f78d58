// Load for crash tests, open loop, over two gateways: half of the requests on kept connections, half on fresh ones. A refused connection is
// retried on the other gateway and nothing else is: every other failure is kept with its time and gateway, so that a test can ask whether
// the request was under way on a proxy at the moment when that was killed.
import { Agent, request as send } from "node:http";

export interface Failure {
  readonly port: number;
  readonly reason: string;
  readonly startedMs: number;
  readonly endedMs: number;
}

export interface LoadResult {
  readonly sent: number;
  /** Answers by version. An answer of status 5xx is a failure. */
  readonly answers: ReadonlyMap<string, number>;
  readonly retried: number;
  readonly failures: readonly Failure[];
}

export interface Load {
  /** What is known so far. */
  result(): LoadResult;
  /** Sends no more, waits for the answers under way. */
  stop(): Promise<LoadResult>;
}

const TICK_MS = 10;
const TIMEOUT_MS = 10_000;

/** Starts to send `rate` requests a second to `GET /` of host demo. */
export function startLoad(ports: readonly [number, number], rate: number): Load {
  const kept = new Agent({ keepAlive: true, maxSockets: 64 });
  const answers = new Map<string, number>();
  const failures: Failure[] = [];
  const underWay = new Set<Promise<void>>();
  let sent = 0;
  let retried = 0;

  const issue = (index: number, isRetry: boolean): Promise<void> =>
    new Promise((resolve) => {
      const port = ports[index % 2] ?? 0;
      const startedMs = performance.now();
      let isOver = false;
      const fail = (reason: string): void => {
        if (isOver) return;
        isOver = true;
        failures.push({ port, reason, startedMs, endedMs: performance.now() });
        resolve();
      };
      const agent = index % 4 < 2 ? kept : false;
      const request = send({
        host: "127.0.0.1",
        port,
        headers: { host: "demo" },
        agent,
        timeout: TIMEOUT_MS,
      });
      request.on("timeout", () => request.destroy(new Error("timeout")));
      request.on("error", (error: NodeJS.ErrnoException) => {
        if (error.code !== "ECONNREFUSED" || isRetry || isOver) return fail(error.code ?? error.message);
        isOver = true;
        retried += 1;
        resolve(issue(index + 1, true));
      });
      request.on("response", (response) => {
        response.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
        response.on("end", () => {
          if (isOver) return;
          if ((response.statusCode ?? 0) >= 500) return fail(`status ${response.statusCode}`);
          isOver = true;
          const version = String(response.headers["x-version"]);
          answers.set(version, (answers.get(version) ?? 0) + 1);
          resolve();
        });
        response.resume();
      });
      request.end();
    });

  const beganMs = performance.now();
  const ticker = setInterval(() => {
    const due = Math.floor(((performance.now() - beganMs) / 1000) * rate);
    for (; sent < due; sent += 1) {
      const one = issue(sent, false).finally(() => underWay.delete(one));
      underWay.add(one);
    }
  }, TICK_MS);
  const result = (): LoadResult => ({ sent, answers, retried, failures });
  return {
    result,
    async stop() {
      clearInterval(ticker);
      await Promise.all(underWay);
      kept.destroy();
      return result();
    },
  };
}
