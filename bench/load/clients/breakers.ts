// Clients that go away in the middle: right after their request, within their body, within the answer; by FIN and by RST.
import { connect } from "node:net";

export interface BreakersOptions {
  readonly port: number;
  readonly host: string;
  /** Path of an answer that no kernel buffer holds whole. */
  readonly long: string;
}

/** How many have broken off, by where they were. */
export interface Breaks {
  readonly early: number;
  readonly sending: number;
  readonly reading: number;
}

type Place = keyof Breaks;

const PLACES: readonly Place[] = ["early", "sending", "reading"];
const EACH_MS = 20;

/** One more client every EACH_MS, until the end. */
export function startBreakers({ port, host, long }: BreakersOptions): { end(): Breaks } {
  const breaks: Record<Place, number> = { early: 0, sending: 0, reading: 0 };
  const head = (method: string, path: string): string => `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n`;
  const requests: Readonly<Record<Place, string>> = {
    early: `${head("GET", long)}\r\n`,
    sending: `${head("POST", "/upload")}Content-Length: 100000\r\n\r\n${"x".repeat(40_000)}`,
    reading: `${head("GET", long)}\r\n`,
  };
  let count = 0;
  const timer = setInterval(() => {
    const place = PLACES[count % PLACES.length] ?? "early";
    const isReset = Math.floor(count / PLACES.length) % 2 === 0;
    count += 1;
    const socket = connect({ port, host: "127.0.0.1" });
    const leave = (): void => {
      breaks[place] += 1;
      if (isReset) socket.resetAndDestroy();
      else socket.destroy();
    };
    socket.on("error", () => undefined);
    socket.on("connect", () => socket.write(requests[place], place === "reading" ? undefined : leave));
    if (place === "reading") socket.once("data", leave);
  }, EACH_MS);
  return {
    end() {
      clearInterval(timer);
      return breaks;
    },
  };
}
