import assert from "node:assert/strict";
import { test } from "node:test";

import { Cutter } from "../../static/js/uploads/cutter.js";
import { FakeClock, settle } from "./helpers/world.js";

const bytes = (text) => new TextEncoder().encode(text);

/** Cuts chunks of 4 bytes; what came of it, in order. */
function cutting(size, { wanted, room = 9 }) {
  const clock = new FakeClock();
  const log = [];
  const cutter = new Cutter(size, { chunkSize: 4, wanted, room }, {
    onCut: (index, chunk) => log.push(`${index} ${new TextDecoder().decode(chunk)}`),
    onPassed: (index) => log.push(`${index} passed`),
    setTimeout: clock.setTimeout,
  });
  return { cutter, clock, log };
}

test("chunks are cut whole, however the parts are that they come in", async () => {
  const text = "aaaabbbbccccdd";
  for (let length = 1; length <= text.length; length += 1) {
    const { cutter, log } = cutting(text.length, { wanted: [0, 2, 3] });
    for (let at = 0; at < text.length; at += length) await cutter.pass(bytes(text.slice(at, at + length)));
    assert.deepEqual(log, ["0 aaaa", "2 cccc", "3 dd"]);
  }
});

test("a line that keeps up gets every chunk: the reading waits for it", async () => {
  const { cutter, clock, log } = cutting(12, { wanted: [0, 1, 2], room: 1 });
  const passing = cutter.pass(bytes("aaaabbbbcccc"));
  for (const count of [1, 2, 3]) {
    await clock.advance(200);
    assert.equal(log.length, count);
    cutter.more();
  }
  await passing;
  assert.deepEqual(log, ["0 aaaa", "1 bbbb", "2 cccc"]);
});

test("a slow line is waited for once, not at every chunk", async () => {
  const { cutter, clock, log } = cutting(20, { wanted: [0, 1, 2, 3, 4], room: 1 });
  const passing = cutter.pass(bytes("aaaabbbbccccdddd"));
  await clock.advance(249);
  assert.deepEqual(log, ["0 aaaa"]);
  await clock.advance(1);
  await passing;
  assert.deepEqual(log.slice(1), ["1 passed", "2 passed", "3 passed"]);
  cutter.more();
  await cutter.pass(bytes("eeee"));
  assert.equal(log.at(-1), "4 eeee");
});

test("no wait is left behind when there is room again", async () => {
  const { cutter, clock } = cutting(8, { wanted: [0, 1], room: 1 });
  const passing = cutter.pass(bytes("aaaabbbb"));
  await settle();
  cutter.more();
  await passing;
  await clock.advance(1000);
  assert.equal(clock.pending, 0);
});
