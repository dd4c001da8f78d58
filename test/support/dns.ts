// A DNS server over UDP, as small as tests need it: A and AAAA of the names it has, "no such name" for others, failures and silence on demand.
import { createSocket } from "node:dgram";
import { isIPv4, isIPv6 } from "node:net";
import type { Test } from "tap";

/** What a name leads to: addresses of either version, an error of the server, or no answer at all. */
export type DnsRecord = readonly string[] | "servfail" | "silent";

export interface DnsServer {
  /** By name, in lower case; may be changed at any time. */
  readonly names: Map<string, DnsRecord>;
  /** Questions so far: `name A` or `name AAAA`. */
  readonly asked: string[];
}

/** Time to live of every answer. */
export const DNS_TTL_S = 7;

const A = 1;
const AAAA = 28;
const HEAD_BYTES = 12;
const RCODE = { good: 0, serverFailure: 2, noSuchName: 3 } as const;

/** Starts a server on that address. */
export async function startDns(t: Test, address: string, port: number): Promise<DnsServer> {
  const names = new Map<string, DnsRecord>();
  const asked: string[] = [];
  const socket = createSocket("udp4");
  socket.on("message", (query, peer) => {
    const { name, type, end } = questionOf(query);
    asked.push(`${name} ${type === A ? "A" : type === AAAA ? "AAAA" : type}`);
    const record = names.get(name);
    if (record !== "silent")
      socket.send(answerTo(query.subarray(0, end), type, record), peer.port, peer.address);
  });
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject);
    socket.bind(port, address, resolve);
  });
  t.teardown(() => void socket.close());
  return { names, asked };
}

function questionOf(query: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = [];
  let at = HEAD_BYTES;
  for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length).toLowerCase());
    at += 1 + length;
  }
  return { name: labels.join("."), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** `question` is the query without what follows its question. */
function answerTo(question: Buffer, type: number, record: Exclude<DnsRecord, "silent"> | undefined): Buffer {
  const isOfType = type === A ? isIPv4 : type === AAAA ? isIPv6 : () => false;
  const addresses = typeof record === "object" ? record.filter((one) => isOfType(one)) : [];
  let code: number = record === undefined ? RCODE.noSuchName : RCODE.good;
  if (record === "servfail") code = RCODE.serverFailure;
  const head = Buffer.from(question);
  head.writeUInt16BE(0x8180 | code, 2); // An answer, recursion as asked for and available.
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(addresses.length, 6);
  head.writeUInt32BE(0, 8);
  const records = addresses.map((address) => {
    const bytes = bytesOf(address);
    const start = Buffer.alloc(12);
    start.writeUInt16BE(0xc000 | HEAD_BYTES, 0); // The name of the question.
    start.writeUInt16BE(type, 2);
    start.writeUInt16BE(1, 4); // Internet.
    start.writeUInt32BE(DNS_TTL_S, 6);
    start.writeUInt16BE(bytes.length, 10);
    return Buffer.concat([start, bytes]);
  });
  return Buffer.concat([head, ...records]);
}

/** Of an IPv6 address: eight groups, or `::` before the last ones. */
function bytesOf(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split(".").map(Number));
  const groups = address.replace(/^.*::/, "").split(":");
  const bytes = Buffer.alloc(16);
  groups.forEach(
    (group, i) => void bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * (8 - groups.length + i)),
  );
  return bytes;
}
