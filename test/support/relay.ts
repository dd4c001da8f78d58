// Runs inside a network namespace: listens on a Unix socket (which the whole machine shares); a connection says "host port" in its
// first line and is then joined to that address. Argument: path of the socket. Ends with the process that started it.
import { connect, createServer, type Socket } from "node:net";

const [path = ""] = process.argv.slice(2);

const server = createServer((outer) => {
  let head = Buffer.alloc(0);
  const onData = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\n");
    if (end < 0 && head.length < 300) return;
    outer.off("data", onData);
    outer.pause();
    const [host = "", port = ""] = head.subarray(0, end).toString("latin1").split(" ");
    join(outer, host, Number(port), head.subarray(end + 1));
  };
  outer.on("data", onData);
  outer.on("error", () => outer.destroy());
});
server.listen(path, () => process.stdout.write("ready\n"));

const parent = process.ppid;
setInterval(() => {
  if (process.ppid !== parent) process.exit(0);
}, 500);

function join(outer: Socket, host: string, port: number, rest: Buffer): void {
  const inner = connect({ host, port, noDelay: true }, () => {
    inner.write(rest);
    outer.pipe(inner).pipe(outer);
  });
  inner.on("error", () => outer.destroy());
  inner.on("close", () => outer.destroy());
  outer.on("close", () => inner.destroy());
}
