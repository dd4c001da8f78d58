// Many keep-alive connections from one process, each asked something in its turn, few at a time.
import { connect, type Socket } from "node:net";

/** Requests under way at a time. */
const AT_ONCE = 64;

export interface Crowd {
  /** Sends the request on every connection and waits for every answer (200, Content-Length). */
  askAll(request: string): Promise<void>;
  /** Connections that are still open. */
  open(): number;
  close(): void;
}

/** Opens so many connections. */
export async function openCrowd(port: number, count: number): Promise<Crowd> {
  const sockets: Socket[] = [];
  await inTurn(count, async () => {
    sockets.push(await opened(port));
  });
  return {
    askAll(request) {
      const bytes = Buffer.from(request, "latin1");
      return inTurn(count, (index) => ask(sockets[index], bytes));
    },
    open: () => sockets.filter((socket) => !socket.destroyed && socket.readable).length,
    close() {
      for (const socket of sockets) socket.destroy();
    },
  };
}

async function inTurn(count: number, act: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await act(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

function opened(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => resolve(socket));
    socket.once("error", reject);
    socket.on("error", () => undefined);
  });
}

function ask(socket: Socket | undefined, request: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    if (socket === undefined) throw new Error("no such connection");
    let answer = "";
    const onData = (chunk: Buffer): void => {
      answer += chunk.toString("latin1");
      const head = answer.indexOf("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(answer)?.[1] ?? 0);
      if (head < 0 || answer.length < head + 4 + length) return;
      done();
      if (answer.startsWith("HTTP/1.1 200 ")) resolve();
      else reject(new Error(`unexpected answer: ${answer.slice(0, 200)}`));
    };
    const onClose = (): void => {
      done();
      reject(new Error(`a connection was closed: ${answer.slice(0, 200)}`));
    };
    const done = (): void => {
      socket.off("data", onData);
      socket.off("close", onClose);
    };
    socket.on("data", onData);
    socket.on("close", onClose);
    socket.write(request);
  });
}
