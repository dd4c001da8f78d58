// Any net.Socket-like stream as a Wire, by its 'data' events: TLS connections, and plain ones where no static read buffer can be had.
// Each chunk is memory of its own, so nothing has to be exchanged.
import type { Socket } from "node:net";
import type { Outbox } from "./outbox.ts";
import type { Wire, WireOwner } from "./wire.ts";

const EMPTY = Buffer.alloc(0);

/** A Wire over a stream that is connected already. */
export class StreamWire implements Wire {
  owner: WireOwner;
  isPending = false;
  hasWritten = false;
  readonly isSecure: boolean;
  readonly #outbox: Outbox;
  #socket: Socket | null;
  #code = "";

  readonly #raw: Socket;

  /** `raw` is the TCP connection below `socket`, where it is another: only that one can be reset. */
  constructor(context: { readonly outbox: Outbox }, socket: Socket, owner: WireOwner, raw: Socket = socket) {
    this.owner = owner;
    this.#raw = raw;
    this.isSecure = "encrypted" in socket;
    this.#outbox = context.outbox;
    this.#socket = socket;
    socket.allowHalfOpen = true;
    socket.on("data", (chunk: Buffer) => this.#turn(() => this.owner.deliver(chunk, 0, chunk.length)));
    socket.on("end", () => this.#turn(() => this.owner.onEnd()));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#code = error.code ?? "ERROR";
    });
    socket.on("close", () => this.#turn(() => this.#onClose()));
  }

  get peerAddress(): string {
    return this.#socket?.remoteAddress ?? "";
  }

  get isOpen(): boolean {
    return this.#socket !== null && !this.#socket.destroyed;
  }

  write(view: Uint8Array): boolean {
    const socket = this.#socket;
    if (socket === null || socket.destroyed || socket.writableEnded) return true;
    // A TLS layer may take the bytes later, even when nothing seems pending: it gets a copy.
    socket.write(Uint8Array.from(view));
    this.hasWritten = true;
    if (socket.writableLength === 0 || socket.destroyed) return true;
    if (!this.isPending) {
      this.isPending = true;
      socket.write(EMPTY, this.#onFlushed);
    }
    return false;
  }

  pause(): void {
    this.#socket?.pause();
  }

  resume(): void {
    this.#socket?.resume();
  }

  end(): void {
    const socket = this.#socket;
    if (socket !== null && !socket.destroyed && !socket.writableEnded) socket.end();
  }

  destroy(): void {
    this.#socket?.destroy();
  }

  reset(): void {
    const socket = this.#socket;
    if (socket === null || socket.destroyed) return;
    if (!this.#raw.destroyed) this.#raw.resetAndDestroy();
    socket.destroy();
  }

  readonly #onFlushed = (error?: Error | null): void => {
    this.isPending = false;
    if (!error) this.#turn(() => this.owner.onDrain());
  };

  #onClose(): void {
    if (this.#socket === null) return;
    this.#socket = null;
    this.isPending = false;
    this.owner.onClose(this.#code);
  }

  #turn(step: () => void): void {
    try {
      step();
      this.#outbox.flush();
    } catch (error) {
      this.owner.onInternalError(error);
      this.#outbox.flush();
    }
    this.#outbox.forgetKept();
  }
}
