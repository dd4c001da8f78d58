// An arm under steady load (clients/steady.ts): latency means something there, since nothing is saturated.
import type { Arm, Sample } from "./rounds.ts";
import { cpuOf, type Program } from "./stage.ts";
import { type Load, type LoadResult, outputOf } from "./wrk.ts";

export interface SteadyLoad extends Pick<Load, "port" | "host" | "path" | "connections"> {
  /** Requests per second. */
  readonly rate: number;
}

/** An arm that loads a program at a rate. */
export function steadyArm(name: string, program: Program, load: SteadyLoad): Arm<Sample> {
  const place = [load.host ?? "127.0.0.1", load.path ?? "/"];
  return {
    name,
    async measure(seconds) {
      const before = await cpuOf(program);
      const numbers = [load.port, load.rate, seconds, load.connections].map(String);
      const client = [process.execPath, "bench/load/clients/steady.ts", ...numbers, ...place];
      const result = JSON.parse(await outputOf(client)) as LoadResult; // Printed by the client.
      const after = await cpuOf(program);
      return {
        ...result,
        userUs: (after.userUs - before.userUs) / result.requests,
        systemUs: (after.systemUs - before.systemUs) / result.requests,
      };
    },
  };
}
