// [hot] What every Wire over a socket does alike: writes, its end, and that a turn of the event loop ends with its writes going out, while a
// throw goes to the owner, not up. How bytes come in differs: netwire.ts, streamwire.ts.
import type { Socket } from "node:net";
import type { Outbox } from "./outbox.ts";
import type { Wire, WireOwner } from "./wire.ts";

const EMPTY = Buffer.alloc(0);

/** See the head of this file. */
export abstract class SocketWire implements Wire {
  owner: WireOwner;
  isPending = false;
  hasWritten = false;
  abstract readonly isSecure: boolean;
  protected socket: Socket | null = null;
  readonly #outbox: Outbox;
  #code = "";

  constructor(outbox: Outbox, owner: WireOwner) {
    this.#outbox = outbox;
    this.owner = owner;
  }

  /** Makes `socket` the one below; how it is read is the subclass's. */
  attach(socket: Socket): void {
    this.socket = socket;
    socket.on("end", () => this.turn(this.#onEnd));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      this.#code = error.code ?? "ERROR";
    });
    socket.on("close", () => this.turn(this.#onClose));
  }

  get peerAddress(): string {
    return this.socket?.remoteAddress ?? "";
  }

  get isOpen(): boolean {
    return this.socket !== null && !this.socket.destroyed;
  }

  write(view: Uint8Array): boolean {
    const socket = this.socket;
    if (socket === null || socket.destroyed || socket.writableEnded) return true;
    socket.write(view);
    // A write that fails at once has sent nothing.
    if (socket.errored === null) this.hasWritten = true;
    if (socket.writableLength === 0 || socket.destroyed) return true;
    if (!this.isPending) {
      this.isPending = true;
      // An empty write behind the pending one: its callback tells when all is taken, at no cost where nothing ever pends.
      socket.write(EMPTY, this.#onFlushed);
    }
    return false;
  }

  pause(): void {
    this.socket?.pause();
  }

  resume(): void {
    this.socket?.resume();
  }

  end(): void {
    const socket = this.socket;
    if (socket !== null && !socket.destroyed && !socket.writableEnded) socket.end();
  }

  destroy(): void {
    this.socket?.destroy();
  }

  abstract reset(): void;

  /** The connection is gone: what was held for it can be given back. */
  protected release(): void {
    // Only some hold anything.
  }

  protected turn(step: () => void): void {
    try {
      step();
      this.#outbox.flush();
    } catch (error) {
      this.failed(error);
    }
    this.#outbox.forgetKept();
  }

  protected failed(error: unknown): void {
    this.owner.onInternalError(error);
    this.#outbox.flush();
  }

  readonly #onFlushed = (error?: Error | null): void => {
    this.isPending = false;
    if (!error) this.turn(() => this.owner.onDrain());
  };

  readonly #onEnd = (): void => this.owner.onEnd();

  readonly #onClose = (): void => {
    if (this.socket === null) return;
    this.socket = null;
    this.isPending = false;
    this.release();
    this.owner.onClose(this.#code);
  };
}
