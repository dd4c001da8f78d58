// Time without a clock, for "nothing comes of it": messages to ourselves over a socket, one after another. Whatever else this process has under way
// over sockets goes on meanwhile, on a slow machine as on a fast one.
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import type { Test } from "tap";

/** Makes a wait of so many round trips. */
export async function startRoundTrips(t: Test): Promise<(count: number) => Promise<void>> {
  const server = createServer((socket) => socket.pipe(socket));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // of a server that listens on an address
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  t.teardown(() => {
    socket.destroy();
    server.close();
  });
  await once(socket, "connect");
  return async (count) => {
    for (let trip = 0; trip < count; trip++) {
      socket.write("!");
      await once(socket, "data");
    }
  };
}
