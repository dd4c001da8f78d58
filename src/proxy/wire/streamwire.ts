// Any net.Socket-like stream as a Wire, by its 'data' events: TLS connections, and plain ones where no static read buffer can be had.
// Each chunk is memory of its own, so nothing has to be exchanged.
import type { Socket } from "node:net";
import type { Outbox } from "./outbox.ts";
import { SocketWire } from "./socketwire.ts";
import type { WireOwner } from "./wire.ts";

/** A Wire over a stream that is connected already. */
export class StreamWire extends SocketWire {
  readonly isSecure: boolean;
  readonly #raw: Socket;

  /** `raw` is the TCP connection below `socket`, where it is another: only that one can be reset. */
  constructor(context: { readonly outbox: Outbox }, socket: Socket, owner: WireOwner, raw: Socket = socket) {
    super(context.outbox, owner);
    this.#raw = raw;
    this.isSecure = "encrypted" in socket;
    socket.allowHalfOpen = true;
    socket.on("data", (chunk: Buffer) => this.turn(() => this.owner.deliver(chunk, 0, chunk.length)));
    this.attach(socket);
  }

  /** A TLS layer may take the bytes later, even when nothing seems pending: it gets a copy. */
  override write(view: Uint8Array): boolean {
    return super.write(Uint8Array.from(view));
  }

  reset(): void {
    const { socket } = this;
    if (socket === null || socket.destroyed) return;
    if (!this.#raw.destroyed) this.#raw.resetAndDestroy();
    socket.destroy();
  }
}
