// Whether a TCP port of this machine can be had.
import { createServer } from "node:net";

/** Whether nothing listens on the port of the loopback address right now. Another process may take it the next moment. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
