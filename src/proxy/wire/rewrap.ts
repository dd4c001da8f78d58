// Gives an accepted connection a static read buffer. net.createServer ignores `onread`, so the handle is moved into a new net.Socket.
// This is the one file that touches private fields of net; when they are missing it reports that, and the caller falls back to 'data'.
import { type OnReadOpts, Socket } from "node:net";

/** Fields of net.Socket that have no public name (Node 20 to 26). */
interface SocketInside {
  _handle: object | null;
  _server: object | null;
  server: object | null;
}

/**
 * Moves the connection of `accepted` to a new socket that reads through `onread`; undefined when this Node keeps them elsewhere.
 * Call it inside the 'connection' event: later the first bytes are lost.
 */
export function rewrap(accepted: Socket, onread: OnReadOpts): Socket | undefined {
  // The fields are private to net: this file exists to contain that.
  const old = accepted as unknown as SocketInside;
  const { _handle: handle, _server: server } = old;
  if (handle == null || server == null) return undefined;
  old._handle = null;
  // Without moving `_server`, the server's close() fires early or never.
  old._server = null;
  accepted.destroy();
  const options = { handle, allowHalfOpen: true, onread };
  // `handle` and `onread` are honoured together but typed apart.
  const socket = new Socket(options as ConstructorParameters<typeof Socket>[0]);
  const inside = socket as unknown as SocketInside;
  inside._server = server;
  inside.server = server;
  return socket;
}
