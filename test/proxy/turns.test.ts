// How long one connection may keep the event loop: what it brings before others had their turn.
import { test } from "tap";
import { ReadBuffers } from "../../src/proxy/wire/buffers.ts";
import { connectWire } from "../../src/proxy/wire/netwire.ts";
import { Outbox } from "../../src/proxy/wire/outbox.ts";
import { NO_WIRE } from "../../src/proxy/wire/wire.ts";
import { rawOrigin } from "./support.ts";

const MIB = 1024 * 1024;
const TURN_BYTES = 256 * 1024;
const LARGEST_READ = 64 * 1024;

test("turns: a connection that always has more to read leaves the loop to others after 256 KiB, and loses nothing", async (t) => {
  const size = 48 * MIB;
  const origin = await rawOrigin(t, (socket) => socket.end(Buffer.alloc(size, "x")));
  let [total, inTurn, most] = [0, 0, 0];
  const nextTurn = (): void => {
    inTurn = 0;
    if (total < size) setImmediate(nextTurn);
  };
  nextTurn();
  await new Promise<void>((resolve, reject) => {
    const context = { outbox: new Outbox(), buffers: new ReadBuffers() };
    connectWire(context, "127.0.0.1", [], origin.port, {
      ...NO_WIRE.owner,
      expectedBytes: size,
      deliver(_buf, start, end) {
        total += end - start;
        inTurn += end - start;
        most = Math.max(most, inTurn);
        if (total === size) resolve();
      },
      onInternalError: reject,
      onClose: () => reject(new Error(`closed after ${total} bytes`)),
    });
  });
  t.ok(most <= TURN_BYTES + LARGEST_READ, `at most ${most} bytes in a turn`);
  t.equal(total, size);
});

test("turns: an owner that wants no bytes gets none, though its turn comes", async (t) => {
  const size = 8 * MIB;
  const origin = await rawOrigin(t, (socket) => socket.end(Buffer.alloc(size, "x")));
  let [total, unwanted] = [0, 0];
  let isWanted = true;
  await new Promise<void>((resolve, reject) => {
    const context = { outbox: new Outbox(), buffers: new ReadBuffers() };
    const wire = connectWire(context, "127.0.0.1", [], origin.port, {
      ...NO_WIRE.owner,
      expectedBytes: size,
      deliver(_buf, start, end) {
        if (!isWanted) unwanted += 1;
        total += end - start;
        if (total === size) return resolve();
        // After each read it rests for a turn: every fourth rest falls together with that of the turn.
        isWanted = false;
        wire.pause();
        setImmediate(() =>
          setImmediate(() => {
            isWanted = true;
            wire.resume();
          }),
        );
      },
      onInternalError: reject,
    });
  });
  t.equal(unwanted, 0, "nothing came while it was paused");
});
