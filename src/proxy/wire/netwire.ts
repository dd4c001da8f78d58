// [hot] A plain TCP connection as a Wire: reads land in a buffer of the wire's own, which is exchanged only when the kernel still needs it
// or when another size fits better, and one that always has more to read leaves the event loop to others now and then.
import { connect, isIP, type OnReadOpts, type Socket } from "node:net";
import { LEVEL, type ReadBuffers } from "./buffers.ts";
import type { Outbox } from "./outbox.ts";
import { rewrap } from "./rewrap.ts";
import { SocketWire } from "./socketwire.ts";
import { StreamWire } from "./streamwire.ts";
import type { Wire, WireOwner } from "./wire.ts";

/** Most that one connection brings while others wait for their turn of the event loop; libuv alone reads up to 32 full buffers. */
const TURN_BYTES = 256 * 1024;
/** Between the attempts at an endpoint's addresses. */
const ATTEMPT_MS = 250;

/** What wires share in one event loop. */
export interface WireContext {
  readonly outbox: Outbox;
  readonly buffers: ReadBuffers;
}

/** Makes a Wire of a connection that a net.Server just accepted. Call it inside the 'connection' event. */
export function acceptWire(context: WireContext, accepted: Socket, owner: WireOwner): Wire {
  const wire = new NetWire(context, owner, LEVEL.CLIENT);
  const socket = rewrap(accepted, wire.onread);
  if (socket === undefined) return new StreamWire(context, accepted, owner);
  wire.attach(socket);
  wire.isStanding = true;
  return wire;
}

/**
 * Opens a connection; `owner.onConnect` or `owner.onClose` follows. `host` is an IP address; of `others` the next one is tried when those before
 * it failed or took 250 ms (RFC 8305), the families by turns.
 */
export function connectWire(
  context: WireContext,
  host: string,
  others: readonly string[],
  port: number,
  owner: WireOwner,
): Wire {
  const wire = new NetWire(context, owner, LEVEL.UPSTREAM);
  const common = { port, allowHalfOpen: true, noDelay: true, onread: wire.onread };
  const socket = connect(
    others.length === 0
      ? { ...common, host }
      : {
          ...common,
          // A name, so that `lookup` is asked; it goes nowhere.
          host: "endpoint",
          autoSelectFamily: true,
          autoSelectFamilyAttemptTimeout: ATTEMPT_MS,
          lookup: (_name, _options, done) => done(null, addressList([host, ...others])),
        },
  );
  wire.attach(socket);
  socket.once("connect", wire.onConnect);
  return wire;
}

function addressList(addresses: readonly string[]): { address: string; family: number }[] {
  return addresses.map((address) => ({ address, family: isIP(address) }));
}

/** See `acceptWire` and `connectWire`. */
class NetWire extends SocketWire {
  readonly isSecure = false;
  readonly onread: OnReadOpts;
  readonly #context: WireContext;
  #buffer: Buffer;
  readonly #lowest: number;
  #level: number;
  #nextLevel: number;
  /** The connection stands: from now on buffers are asked for after reads. */
  isStanding = false;
  #isLent = false;
  /** The owner wants no bytes now. */
  #isPaused = false;
  /** Bytes of full reads without a turn for others between them. */
  #unbroken = 0;

  /** `lowest` is the LEVEL of its smallest read buffer. */
  constructor(context: WireContext, owner: WireOwner, lowest: number) {
    super(context.outbox, owner);
    this.#context = context;
    this.#lowest = lowest;
    this.#level = lowest;
    this.#nextLevel = lowest;
    this.#buffer = context.buffers.take(lowest);
    this.onread = {
      buffer: () => this.#nextBuffer(),
      callback: (count, buf) => this.#onRead(count, buf),
    };
  }

  readonly onConnect = (): void => {
    this.isStanding = true;
    this.turn(() => this.owner.onConnect());
  };

  override pause(): void {
    this.#isPaused = true;
    super.pause();
  }

  override resume(): void {
    this.#isPaused = false;
    super.resume();
  }

  reset(): void {
    const { socket } = this;
    if (socket === null || socket.destroyed) return;
    // A socket that still connects would wait for that, as long as the system tries, to send its reset.
    if (socket.connecting) socket.destroy();
    else socket.resetAndDestroy();
  }

  protected override release(): void {
    if (!this.#isLent) this.#context.buffers.give(this.#level, this.#buffer);
    this.#isLent = true;
  }

  #onRead(count: number, buf: Uint8Array): boolean {
    const { outbox, buffers } = this.#context;
    const buffer = this.#buffer;
    try {
      this.owner.deliver(buffer, 0, count);
      outbox.flush();
    } catch (error) {
      this.failed(error);
    }
    if (outbox.isKept(buf) || outbox.isKept(buffer)) this.#isLent = true;
    outbox.forgetKept();
    const next = buffers.nextLevel(this.#level, count, this.owner.expectedBytes);
    this.#nextLevel = next > this.#lowest ? next : this.#lowest;
    return this.#mayReadOn(count === buffer.length ? count : 0);
  }

  /** False lets net stop reading; it goes on when all that is ready on other connections had its turn. */
  #mayReadOn(fullBytes: number): boolean {
    this.#unbroken = fullBytes === 0 ? 0 : this.#unbroken + fullBytes;
    if (this.#unbroken < TURN_BYTES) return true;
    this.#unbroken = 0;
    setImmediate(() => {
      if (!this.#isPaused) this.socket?.resume();
    });
    return false;
  }

  /** Called by net at the start and after every read; undefined keeps the buffer in use. */
  #nextBuffer(): Buffer {
    // Asked for again with every address that is tried.
    if (!this.isStanding) return this.#buffer;
    const next = this.#nextLevel;
    // net takes anything that is no Uint8Array as "keep the buffer".
    if (!this.#isLent && next === this.#level) return undefined as unknown as Buffer;
    if (this.socket === null || this.socket.destroyed) return undefined as unknown as Buffer;
    const { buffers } = this.#context;
    if (!this.#isLent) buffers.give(this.#level, this.#buffer);
    this.#isLent = false;
    this.#level = next;
    this.#buffer = buffers.take(next);
    return this.#buffer;
  }
}
