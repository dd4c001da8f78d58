// The tables of bench/README.md between the marks `<!-- load -->` and `<!-- /load -->`, made of the results that are there.
import { readFile, writeFile } from "node:fs/promises";
import { isMet, type Result, spell, storedResult, type Usage } from "./figures.ts";

const PAGE = "bench/README.md";
const BETWEEN = /(<!-- load -->\n)[\s\S]*?(\n<!-- \/load -->)/;

/** Writes what the results of these shapes say. */
export async function writeTables(shapes: readonly string[]): Promise<void> {
  const results = (await Promise.all(shapes.map(storedResult))).filter((one) => one !== undefined);
  const page = await readFile(PAGE, "utf8");
  if (!BETWEEN.test(page)) throw new Error(`${PAGE} has lost its marks`);
  const used = results.filter(({ usage }) => usage !== undefined);
  const text = [figureTable(results), ...used.map(usageTable)].join("\n\n");
  await writeFile(
    PAGE,
    page.replace(BETWEEN, (_, before, after) => `${before}${text}${after}`),
  );
}

function figureTable(results: readonly Result[]): string {
  const rows = results.flatMap(({ shape, settings, load, figures }) =>
    figures.map((figure) => {
      const goal = figure.goal === undefined ? "" : `≤ ${figure.goal}`;
      const stretch = figure.stretch === undefined ? "" : `≤ ${figure.stretch}`;
      const met = { true: "yes", false: "**no**", undefined: "" }[`${isMet(figure)}`];
      const seen = spell(figure) + (figure.note === undefined ? "" : `; ${figure.note}`);
      const how = `\`${shape}\`, ${settings.rounds} x ${settings.seconds} s, load ${load[0].toFixed(1)}`;
      return `| ${figure.name} | ${goal} | ${stretch} | ${seen} | ${met} | ${how} |`;
    }),
  );
  return [
    "| Figure | Goal | Stretch | Seen (95 % interval) | Met | Shape, rounds, load average before |",
    "|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}

function usageTable({ shape, usage = [] }: Result): string {
  return [
    `| \`${shape}\` | CPU µs/request | user | system | p50 µs | p99 µs | requests | failed |`,
    "|---|---|---|---|---|---|---|---|",
    ...usage.map(usageRow),
  ].join("\n");
}

function usageRow(usage: Usage): string {
  const { proxy, cpuUs, userUs, systemUs, p50Us, p99Us, requests, errors } = usage;
  const times = [cpuUs, userUs, systemUs].map((us) => us.toFixed(cpuUs < 200 ? 1 : 0));
  const cells = [proxy, ...times, p50Us.toFixed(0), p99Us.toFixed(0), requests, errors];
  return `| ${cells.join(" | ")} |`;
}
