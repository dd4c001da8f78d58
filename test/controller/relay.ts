// A TCP relay between proxies and a controller, which a test can fall silent or cut: a partition, or the death of a leader.
import { connect, createServer, type Socket } from "node:net";
import type { Test } from "tap";

export interface Relay {
  /** `host:port` to connect to. */
  readonly address: string;
  /** Bytes stop in both directions; connections stay open. */
  silence(): void;
  /** Bytes that waited go on. */
  resume(): void;
  /** Resets every connection and refuses new ones. */
  cut(): void;
  /** Accepts again. */
  mend(): void;
}

/** Relays to `target`. */
export async function createRelay(t: Test, target: string): Promise<Relay> {
  const [host = "", port = ""] = target.split(":");
  const sockets = new Set<Socket>();
  let state: "open" | "silent" | "cut" = "open";
  const join = (from: Socket, to: Socket): void => {
    sockets.add(from);
    if (state === "silent") from.pause();
    from.on("data", (chunk: Buffer) => {
      if (!to.write(chunk)) from.pause();
    });
    to.on("drain", () => {
      if (state !== "silent") from.resume();
    });
    from.on("error", () => from.destroy());
    from.on("close", () => {
      sockets.delete(from);
      to.destroy();
    });
  };
  const server = createServer((outer) => {
    if (state === "cut") return void outer.resetAndDestroy();
    const inner = connect(Number(port), host);
    join(outer, inner);
    join(inner, outer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const bound = server.address();
  if (bound === null || typeof bound === "string") throw new Error("the relay has no port");
  const cut = (): void => {
    state = "cut";
    for (const socket of sockets) socket.destroy();
  };
  t.teardown(() => {
    cut();
    server.close();
  });
  return {
    address: `127.0.0.1:${bound.port}`,
    silence() {
      state = "silent";
      for (const socket of sockets) socket.pause();
    },
    resume() {
      state = "open";
      for (const socket of sockets) socket.resume();
    },
    cut,
    mend() {
      state = "open";
    },
  };
}
