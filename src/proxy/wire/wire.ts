// The one byte source and sink that framing knows: a plain socket (netwire.ts) and anything that speaks 'data' events, such as TLS
// (streamwire.ts), satisfy it. Whoever drives a Wire never sees a net.Socket.

/** One connection, as bytes. */
export interface Wire {
  /** Receives what happens. Set before the first event. */
  owner: WireOwner;
  /** The kernel took some bytes since this was last set to false. */
  hasWritten: boolean;
  /** Address of the peer, without port; empty when it is gone already. */
  readonly peerAddress: string;
  /** True while bytes given to `write` have not been taken by the kernel. */
  readonly isPending: boolean;
  /** False once closed from either side or destroyed. */
  readonly isOpen: boolean;
  /** True when the bytes travel encrypted. */
  readonly isSecure: boolean;
  /** Writes; true when done, false when pending: then `view` belongs to the wire until `owner.onDrain`. */
  write(view: Uint8Array): boolean;
  /** Stops reading. FIN and RST of the peer are then not seen either. Idempotent. */
  pause(): void;
  resume(): void;
  /** Sends what is pending, then FIN. The read side stays open. */
  end(): void;
  /** Closes at once; the peer sees a clean end. */
  destroy(): void;
  /** Closes by reset: the peer must not take what it got for complete. */
  reset(): void;
}

/** What a Wire calls. Every call is guarded: a throw ends in `onInternalError`. */
export interface WireOwner {
  /** Bytes of a body that are to come at least, 1 where its length is unknown; 0 between bodies, where a small read buffer does. */
  readonly expectedBytes: number;
  /** Bytes [start, end) of `buf`, valid only during the call. */
  deliver(buf: Buffer, start: number, end: number): void;
  /** The connection that was asked for stands. */
  onConnect(): void;
  /** The peer sent FIN. */
  onEnd(): void;
  /** A write stayed pending. */
  onPending(): void;
  /** All pending bytes are taken. */
  onDrain(): void;
  /** The connection is gone; `code` is the system's error code, or empty after a clean close. Called once. */
  onClose(code: string): void;
  onInternalError(error: unknown): void;
}

/** Stands where a wire will be. */
export const NO_WIRE: Wire = {
  owner: {
    expectedBytes: 0,
    deliver: () => undefined,
    onConnect: () => undefined,
    onEnd: () => undefined,
    onPending: () => undefined,
    onDrain: () => undefined,
    onClose: () => undefined,
    onInternalError: () => undefined,
  },
  hasWritten: false,
  peerAddress: "",
  isPending: false,
  isOpen: false,
  isSecure: false,
  write: () => true,
  pause: () => undefined,
  resume: () => undefined,
  end: () => undefined,
  destroy: () => undefined,
  reset: () => undefined,
};
