// Every script of this folder says what weir does, pass by pass. `WEIR_TEST_UPDATE=1 node test/scenarios/scenarios.test.ts` rewrites
// them: read the difference before committing it.
import { readFileSync, writeFileSync } from "node:fs";
import { glob } from "node:fs/promises";
import { basename } from "node:path";
import { test } from "tap";
import { runScript } from "../support/script.ts";

const files = (await Array.fromAsync(glob(`${import.meta.dirname}/*.txt`))).sort();

for (const file of files) {
  test(`scenario: ${basename(file, ".txt")} goes as written`, async (t) => {
    const text = readFileSync(file, "utf8");
    const now = runScript(text);
    if (process.env.WEIR_TEST_UPDATE === "1") writeFileSync(file, now);
    else t.equal(now, text);
    t.equal(runScript(now), now, "the output is no input");
  });
}
