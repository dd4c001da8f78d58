// The embedded API server: state folder, store, watches and handler put together; in process by `transport`, on a socket by `listen`.
import type { Transport, TransportRequest } from "../../cluster/client.ts";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import type { Answer } from "./answer.ts";
import { expireEvents } from "./events.ts";
import { type ApiRequest, createInitialNamespaces, type HandlerContext, handle } from "./handler.ts";
import { findKind } from "./kinds.ts";
import { kubeconfigText } from "./kubeconfig.ts";
import { bearerCheck, type Listener, type ListenOptions, listen, unauthorized } from "./listen.ts";
import type { LogProvider } from "./logs.ts";
import { createReaders } from "./readers.ts";
import { createRemover } from "./remover.ts";
import { openState, replaceFile } from "./state.ts";
import { createStore } from "./store.ts";
import { createWatchHub } from "./watch.ts";
import { createWriter } from "./writer.ts";

export interface EmbeddedServerOptions {
  /** Folder of the state, made when missing; `:memory:` keeps nothing. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Bound of the database file in bytes; beyond it writes are refused with 507. Default 4 GiB. */
  readonly maxStateBytes?: number;
  /** Changes kept for watches that continue after a break. Default 8192. */
  readonly historyChanges?: number;
  /** Hands out containers' logs; may also be given later by `provideLogs`. */
  readonly logs?: LogProvider;
}

export interface EmbeddedServer {
  /** The client's transport without sockets. With a token it is checked; without, the caller is trusted. */
  transport(token?: string): Transport;
  /** Serves https on loopback besides. */
  listen(options?: ListenOptions): Promise<Listener>;
  /** Writes a kubeconfig of mode 0600 for the listener. */
  writeKubeconfig(path: string, listener: Listener): void;
  provideLogs(logs: LogProvider): void;
  readonly token: string;
  /** PEM of the certificate that clients trust. */
  readonly certificate: string;
  /** Ends listeners and watches and releases the state folder. Idempotent. */
  close(): Promise<void>;
}

const BOOKMARK_MS = 60_000;
const EVENT_EXPIRY_MS = 60_000;
/** Dependents of owners that do not exist are collected this long after the write that named them. */
const SWEEP_MS = 50;

/** Opens the state and builds the server; throws WEIR_ERR_EMBEDDED_STATE_* when the folder cannot be used. */
export async function createEmbeddedServer(options: EmbeddedServerOptions): Promise<EmbeddedServer> {
  const { clock, log } = options;
  const bounds = options.maxStateBytes === undefined ? {} : { maxBytes: options.maxStateBytes };
  const state = await openState(options.stateDir, { nowMs: clock.nowMs(), ...bounds });
  const nowMs = (): number => clock.nowMs();
  const hub = createWatchHub();
  const history = options.historyChanges === undefined ? {} : { historyChanges: options.historyChanges };
  const store = createStore({ db: state.db, nowMs, onChange: (change) => hub.publish(change), ...history });
  const remover = createRemover(store, nowMs);
  const writer = createWriter(store, remover, nowMs);
  const readers = createReaders({ store, hub, clock });
  let logs = options.logs;
  const timers = createTimers(clock, log);
  const sweep = timers.once(SWEEP_MS, () => store.transaction(false, () => remover.sweep()));
  const context: HandlerContext = {
    store,
    readers,
    writer,
    remover,
    clock,
    log,
    logProvider: () => logs,
    onOwned: sweep,
  };
  const namespaces = findKind("", "v1", "namespaces");
  if (namespaces !== undefined) createInitialNamespaces(namespaces, store, writer);
  store.transaction(false, () => remover.sweep());
  timers.every(BOOKMARK_MS, () => hub.bookmarkAll(store.version()));
  timers.every(EVENT_EXPIRY_MS, () => expireEvents(store, remover, clock.nowMs()));
  const listeners = new Set<Listener>();
  const isAuthorized = bearerCheck(state.token);
  const answer = (request: ApiRequest): Promise<Answer> => handle(context, request);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    timers.stop();
    hub.close();
    await Promise.all([...listeners].map((listener) => listener.close()));
    state.close();
  };
  return {
    token: state.token,
    certificate: state.certificate.certPem,
    provideLogs: (provider) => {
      logs = provider;
    },
    transport: (token) => transportOf(answer, token === undefined || isAuthorized(`Bearer ${token}`)),
    listen: async (listenOptions = {}) => {
      const listener = await listen(
        { certificate: state.certificate, isAuthorized, handle: answer, log },
        listenOptions,
      );
      listeners.add(listener);
      return listener;
    },
    writeKubeconfig: (path, listener) =>
      replaceFile(
        path,
        kubeconfigText({ url: listener.url, certPem: state.certificate.certPem, token: state.token }),
      ),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}

function transportOf(answer: (request: ApiRequest) => Promise<Answer>, isTrusted: boolean): Transport {
  const closed = new AbortController();
  return {
    request: (request: TransportRequest) => {
      request.signal?.throwIfAborted();
      closed.signal.throwIfAborted();
      if (!isTrusted) return Promise.resolve(unauthorized());
      const signal =
        request.signal === undefined ? closed.signal : AbortSignal.any([request.signal, closed.signal]);
      return answer({ ...request, signal });
    },
    close: () => {
      closed.abort();
      return Promise.resolve();
    },
  };
}

interface Timers {
  every(intervalMs: number, work: () => void): void;
  /** A function that runs `work` once, `delayMs` after its first call; calls until then change nothing. */
  once(delayMs: number, work: () => void): () => void;
  stop(): void;
}

function createTimers(clock: Clock, log: Logger): Timers {
  const running = new Set<Timer>();
  let isStopped = false;
  const after = (delayMs: number, work: () => void): void => {
    const timer = clock.after(delayMs, () => {
      running.delete(timer);
      if (isStopped) return;
      try {
        work();
      } catch (error) {
        log.error("housekeeping of the API server failed", { error });
      }
    });
    running.add(timer);
  };
  return {
    every: (intervalMs, work) => {
      const again = (): void => {
        after(intervalMs, again);
        work();
      };
      after(intervalMs, again);
    },
    once: (delayMs, work) => {
      let isPending = false;
      return () => {
        if (isPending || isStopped) return;
        isPending = true;
        after(delayMs, () => {
          isPending = false;
          work();
        });
      };
    },
    stop: () => {
      isStopped = true;
      for (const timer of running) timer.cancel();
      running.clear();
    },
  };
}
