// A port for what must be told its port before it listens.
import { createServer } from "node:net";

/** Below the ports that Linux gives to outgoing connections and to listen(0): no other test can be handed this one in the meantime. */
const FIRST = 10_000;
const AFTER_LAST = 32_000;

/** A port that nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    const port = FIRST + Math.floor(Math.random() * (AFTER_LAST - FIRST));
    if (await canListen(port)) return port;
  }
  throw new Error(`no free port between ${FIRST} and ${AFTER_LAST}`);
}

/** Two different ones. */
export async function freePorts(): Promise<readonly [number, number]> {
  const first = await freePort();
  let second = await freePort();
  while (second === first) second = await freePort();
  return [first, second];
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, () => server.close(() => resolve(true)));
  });
}
