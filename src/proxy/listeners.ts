// The listeners in force, and how they come and go: what is new is opened before anything changes, on a socket of its own or to take over the
// one of a listener that goes; what goes finishes what it has. A listener without its routes is not there yet: who has its address serves on
// until they come. Which listeners there are to be, and with which routes, configuration.ts says.
import { sleep } from "../lib/clock.ts";
import { isWeirError } from "../lib/errors.ts";
import type { Core } from "./core.ts";
import { LISTEN_FAILED, Listener, type ListenerOptions } from "./http1/listener.ts";
import type { HostTable } from "./route/table.ts";

/** A port that is taken is tried again for this long: a proxy that drains may still hold it. */
const LISTEN_PATIENCE_MS = 5_000;
const LISTEN_RETRY_MS = 100;

/** A listener as a configuration has it. */
export interface WantedListener {
  readonly options: ListenerOptions;
  /** Undefined: its routes have not come yet. */
  readonly hosts: HostTable | undefined;
}

/** All of them by name. */
export type WantedListeners = ReadonlyMap<string, WantedListener>;

/** A listener that is about to serve. */
interface Opened {
  readonly listener: Listener;
  /** Whose socket it goes on with; absent: it has one of its own. */
  readonly before?: Listener;
}

/** What a change of the listeners needs, ready for `swap`. */
export type OpenedListeners = ReadonlyMap<string, Opened>;

/** See the head of this file. */
export class Listeners {
  readonly #core: Core;
  readonly #onLeft: () => void;
  readonly #inForce = new Map<string, Listener>();
  readonly #leaving = new Set<Listener>();
  /** Addresses that could not be had at the last try: the control plane offers their listeners again, so that no other change need wait. */
  readonly #taken = new Set<string>();
  #isLast = false;
  #isClosed = false;

  /** `onLeft` is called when a listener that was going has gone. */
  constructor(core: Core, onLeft: () => void) {
    this.#core = core;
    this.#onLeft = onLeft;
  }

  get all(): readonly Listener[] {
    return [...this.#inForce.values()];
  }

  /** What requests may still be matched against, also by those that are going. */
  get hosts(): readonly HostTable[] {
    return [...this.#inForce.values(), ...this.#leaving].map(({ hosts }) => hosts);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** A listener of `wanted` that does not serve at all yet; undefined: there is none. */
  awaitedOf(wanted: WantedListeners): string | undefined {
    return wanted.keys().find((name) => !this.#inForce.has(name));
  }

  /**
   * Opens those that do not listen where they should and whose routes are there; all of them or none. Rejects with LISTEN_FAILED, where ports that are
   * taken are `waitedFor` after some time, or when an access log cannot be opened; then nothing has changed.
   */
  async open(wanted: WantedListeners, areWaitedFor: boolean): Promise<OpenedListeners> {
    const due = [...wanted.values()].filter(
      ({ options, hosts }) => hosts !== undefined && !this.#isPlaced(options),
    );
    const staying = new Set(wanted.keys());
    for (const { options } of due) staying.delete(options.name);
    const opened = new Map<string, Opened>();
    try {
      // What cannot be opened is refused before anything changes.
      for (const { options } of wanted.values())
        if (options.accessLog !== undefined && this.#core.seat.isServing)
          this.#core.logs.open(options.accessLog.path);
      for (const one of due) {
        const before = this.#holderOf(one.options, staying);
        const listener = before === undefined ? await this.#open(one, areWaitedFor) : this.#made(one);
        opened.set(one.options.name, before === undefined ? { listener } : { listener, before });
      }
    } catch (error) {
      this.discard(opened);
      throw error;
    }
    return opened;
  }

  /** Closes what was opened and is not to serve. */
  discard(opened: OpenedListeners): void {
    for (const { listener } of opened.values()) listener.close();
  }

  /** Brings `wanted` in force with what `open` made for it. Synchronous. */
  swap(opened: OpenedListeners, wanted: WantedListeners): void {
    for (const { listener, before } of opened.values()) {
      if (before === undefined) continue;
      listener.takeOver(before);
      // Connections that are open are to the same address, and clusters that only the old routes name go now.
      before.configure(listener.options);
      before.hosts = listener.hosts;
    }
    for (const [name, { listener }] of opened) {
      const before = this.#inForce.get(name);
      if (before !== undefined) this.#leave(before);
      this.#inForce.set(name, listener);
    }
    for (const [name, { options, hosts }] of wanted) {
      const listener = this.#inForce.get(name);
      // One that is to move and waits for its routes stays as it is until they come.
      if (listener === undefined || !this.#isPlaced(options)) continue;
      listener.configure(options);
      if (hosts !== undefined) listener.hosts = hosts;
    }
    for (const [name, listener] of this.#inForce) {
      if (wanted.has(name) || this.#isHolding(listener, wanted)) continue;
      this.#inForce.delete(name);
      this.#leave(listener);
    }
    const logging = [...this.#inForce.values(), ...this.#leaving];
    this.#core.logs.keep(new Set(logging.flatMap(({ accessLog }) => accessLog?.file.path ?? [])));
  }

  /** From now on each connection ends with its next answer; new ones are still taken. */
  sayLast(): void {
    this.#isLast = true;
    for (const listener of this.#inForce.values()) listener.isDraining = true;
  }

  /** Stops accepting; resolves when all connections are gone. */
  async drain(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#inForce.values(), ...this.#leaving].map((listener) => listener.drain()));
  }

  /** Ends all connections. */
  close(): void {
    this.#isClosed = true;
    for (const listener of [...this.#inForce.values(), ...this.#leaving]) listener.close();
  }

  /** Whether a listener of that name listens at that address. */
  #isPlaced({ name, address, port }: ListenerOptions): boolean {
    const current = this.#inForce.get(name);
    return current !== undefined && isAt(current, address, port);
  }

  /** The listener that has the address and gives it up with this change: it is not among `staying`. */
  #holderOf({ address, port }: ListenerOptions, staying: ReadonlySet<string>): Listener | undefined {
    if (port === 0) return undefined;
    return this.all.find((listener) => isAt(listener, address, port) && !staying.has(listener.name));
  }

  /** Whether it has the address of one that waits for its routes. */
  #isHolding(listener: Listener, wanted: WantedListeners): boolean {
    return wanted
      .values()
      .some(
        ({ options }) =>
          options.port !== 0 && !this.#isPlaced(options) && isAt(listener, options.address, options.port),
      );
  }

  #made({ options, hosts }: WantedListener): Listener {
    const listener = new Listener(this.#core, options);
    // It may serve before the swap: then with the routes that come with it.
    if (hosts !== undefined) listener.hosts = hosts;
    listener.isDraining = this.#isLast;
    return listener;
  }

  async #open(wanted: WantedListener, isWaitedFor: boolean): Promise<Listener> {
    const { clock, log } = this.#core;
    const { name, address, port } = wanted.options;
    const place = `${address}:${port}`;
    const patienceMs = isWaitedFor && !this.#taken.has(place) ? LISTEN_PATIENCE_MS : 0;
    const giveUpMs = clock.steadyMs() + patienceMs;
    for (;;) {
      const listener = this.#made(wanted);
      try {
        await listener.open();
        this.#taken.delete(place);
        if (this.#core.seat.isServing)
          log.info("listening", { listener: name, address, port: listener.port });
        return listener;
      } catch (error) {
        if (this.#isClosed || clock.steadyMs() >= giveUpMs || !isWeirError(error, LISTEN_FAILED)) {
          this.#taken.add(place);
          throw error;
        }
        await sleep(clock, LISTEN_RETRY_MS);
      }
    }
  }

  /** Lets a listener finish: its connections end with their next answer, at the latest after the drain time. */
  #leave(listener: Listener): void {
    this.#leaving.add(listener);
    const { clock, limits } = this.#core;
    const deadline = clock.after(limits.drainMs, () => listener.close());
    void listener.drain().then(() => {
      deadline.cancel();
      this.#leaving.delete(listener);
      this.#onLeft();
    });
  }
}

function isAt({ options }: Listener, address: string, port: number): boolean {
  return options.address === address && options.port === port;
}
