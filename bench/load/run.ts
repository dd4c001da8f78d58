// What requests cost the proxy, beside others and against its own goals: `npm run bench:load [-- --only full,mirror]`.
// Proxies run on CPU 0, origins and load on CPU 1. Each shape stands in shapes/, what others were configured with in rivals/.
//
//   node bench/load/run.ts [--only SHAPES] [--rounds 10] [--seconds 5] [--quick] [--list]
//
// Writes bench/results/load-<shape>.json and the tables of bench/README.md; --quick (one round of a second) writes nothing. Needs Linux
// with two CPUs, nginx, haproxy, wrk, taskset, and Envoy as the tests install it.
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { perform, type Shape } from "./figures.ts";
import { memoryShapes } from "./shapes/memory.ts";
import { mirrorShapes } from "./shapes/mirror.ts";
import { requestShapes } from "./shapes/requests.ts";
import { retryShapes } from "./shapes/retries.ts";
import { routeShapes } from "./shapes/routes.ts";
import { slowShapes } from "./shapes/slow.ts";
import { soakShapes } from "./shapes/soak.ts";
import { splitShapes } from "./shapes/split.ts";
import { versionShapes } from "./shapes/versions.ts";
import { endOnSignals, LOAD_CPU } from "./stage.ts";
import { writeTables } from "./table.ts";

const SHAPES: readonly Shape[] = [
  ...requestShapes,
  ...memoryShapes,
  ...routeShapes,
  ...mirrorShapes,
  ...retryShapes,
  ...versionShapes,
  ...splitShapes,
  ...slowShapes,
  ...soakShapes,
];

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      rounds: { type: "string", default: "10" },
      seconds: { type: "string", default: "5" },
      quick: { type: "boolean", default: false },
      list: { type: "boolean", default: false },
    },
  });
  if (values.list) {
    for (const { name, about } of SHAPES) console.log(`${name.padEnd(10)} ${about}`);
    return;
  }
  endOnSignals();
  // Control planes and crowds of this process are no part of any proxy.
  execFileSync("taskset", ["-a", "-c", "-p", LOAD_CPU, String(process.pid)], { stdio: "ignore" });
  const names = values.only?.split(",") ?? SHAPES.map(({ name }) => name);
  const settings = values.quick
    ? { rounds: 1, seconds: 1 }
    : { rounds: Number(values.rounds), seconds: Number(values.seconds) };
  for (const name of names) {
    const shape = SHAPES.find((one) => one.name === name);
    if (shape === undefined) throw new Error(`no shape ${name}: see --list`);
    console.error(`${shape.name}: ${shape.about}`);
    await perform(shape, settings, values.quick);
    if (!values.quick) await writeTables(SHAPES.map((one) => one.name));
  }
}

await main();
