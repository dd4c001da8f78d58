// A process of its own for server-state.test.ts: serves a state folder and writes to it until it is killed. Each line on standard
// output names a write that the server has acknowledged.
import { writeSync } from "node:fs";
import { createEmbeddedServer } from "../../src/embedded/embedded.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { silentLogger } from "../../src/lib/log.ts";
import { apiOver, CONFIG_MAPS, configMap } from "./server-support.ts";

const OBJECTS = 20;
const stateDir = process.argv[2] ?? "";
const server = await createEmbeddedServer({ stateDir, clock: systemClock, log: silentLogger });
const api = apiOver(server.transport());
for (let n = 0; ; n++) {
  const name = `m${n % OBJECTS}`;
  const data = { n: String(n), filler: "x".repeat(n % 3000) };
  const patched = await api.patch(`${CONFIG_MAPS}/${name}`, { data });
  const { status, body } =
    patched.status === 404 ? await api.post(CONFIG_MAPS, configMap(name, { data })) : patched;
  if (status >= 300) throw new Error(`the write was refused: ${JSON.stringify(body)}`);
  writeSync(1, `${JSON.stringify({ name, version: Number(body.metadata.resourceVersion), n })}\n`);
}
