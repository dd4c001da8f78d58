// The load of most shapes: wrk, one thread, closed loop, a number of keep-alive connections.
import { spawn } from "node:child_process";
import { LOAD_CPU } from "./stage.ts";

export interface Load {
  readonly port: number;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: readonly string[];
  readonly connections: number;
  /** Bytes of a POST body; without it, GETs. */
  readonly bodyBytes?: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** Socket errors, and answers other than 2xx and 3xx. */
  readonly errors: number;
}

/** One run of wrk. */
export async function runWrk(load: Load, seconds: number): Promise<LoadResult> {
  const headers = [`Host: ${load.host ?? "127.0.0.1"}`, ...(load.headers ?? [])].flatMap((line) => [
    "-H",
    line,
  ]);
  const script = load.bodyBytes === undefined ? [] : ["-s", "bench/load/post.lua"];
  const url = `http://127.0.0.1:${load.port}${load.path ?? "/"}`;
  const options = ["-t1", `-c${load.connections}`, `-d${seconds}s`, "--latency", "--timeout", "10s"];
  const tail = load.bodyBytes === undefined ? [] : ["--", String(load.bodyBytes)];
  const text = await outputOf(["wrk", ...options, ...headers, ...script, url, ...tail]);
  return readWrk(text);
}

function readWrk(text: string): LoadResult {
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1) ?? [];
  const requests = number(/(\d+) requests in/);
  if (requests === 0) throw new Error(`no request was answered: ${text}`);
  return {
    requests,
    p50Us: microseconds(/^\s+50%\s+(\S+)$/m.exec(text)?.[1]),
    p99Us: microseconds(/^\s+99%\s+(\S+)$/m.exec(text)?.[1]),
    errors:
      number(/Non-2xx or 3xx responses: (\d+)/) + socketErrors.reduce((sum, one) => sum + Number(one), 0),
  };
}

function microseconds(text = "0"): number {
  const value = Number.parseFloat(text);
  if (text.endsWith("us")) return value;
  return text.endsWith("ms") ? value * 1_000 : value * 1_000_000;
}

/** What a command on the load's CPU prints. */
export function outputOf(command: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn("taskset", ["-c", LOAD_CPU, ...command], { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    child.once("error", reject);
    child.once("close", (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${command[0]} ended with ${code}: ${text}`)),
    );
  });
}
