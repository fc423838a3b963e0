import assert from "node:assert/strict";
import { test } from "node:test";

import { Uploader } from "../../static/js/uploads/uploader.js";
import { FakeHasher, FakeServer, networkError, refusal } from "./helpers/server.js";
import { fileOf } from "./helpers/uploading.js";
import { fakeWorld, settle } from "./helpers/world.js";

function manager(options = {}) {
  const server = new FakeServer();
  const world = fakeWorld();
  const hasher = new FakeHasher();
  const uploader = new Uploader({ transport: server, hasher, ...world, ...options });
  return { uploader, server, ...world };
}

/** Of ten bytes each, in three chunks. */
const ten = (letter) => fileOf(letter.repeat(10), { name: letter });

test("nothing at all adds up to nothing", () => {
  assert.deepEqual(manager().uploader.totals, {
    files: 0,
    done: 0,
    failed: 0,
    paused: 0,
    active: 0,
    bytes: 0,
    bytesSent: 0,
    nextAttempt: null,
    speed: 0,
    timeLeft: null,
    waitingForNetwork: false,
  });
});

test("every upload is counted once, by what has become of it", async () => {
  const { uploader, server } = manager({ files: 1 });
  uploader.add(ten("a")).pause();
  uploader.add(ten("b"));
  await settle();
  server.script("handshake", refusal(413, "too_large"));
  uploader.add(ten("c"));
  await settle();
  server.hold();
  uploader.add(ten("d"));
  uploader.add(ten("e"));
  await settle();
  const { files, done, failed, paused: resting, active, bytes } = uploader.totals;
  assert.deepEqual([files, done, failed, resting, active, bytes], [5, 1, 1, 1, 2, 50]);
  await uploader.cancelAll();
});

test("bytes on the way count, and what is done counts whole", async () => {
  const { uploader, server } = manager({ files: 1, parallel: 1 });
  server.script("chunk", null, null, null, ({ onProgress }) => {
    server.hold();
    onProgress(3);
  });
  for (const letter of "ab") uploader.add(ten(letter));
  await settle();
  assert.deepEqual([uploader.totals.bytesSent, uploader.totals.bytes], [13, 20]);
  server.letGo();
  await settle();
  assert.equal(uploader.totals.bytesSent, 20);
});

test("what is done and put away still counts; what failed and is put away does not", async () => {
  const { uploader, server } = manager({ files: 1 });
  server.script("handshake", refusal(413, "too_large"));
  const [failed, done] = [uploader.add(ten("a")), uploader.add(ten("b"))];
  await settle();
  uploader.remove(done);
  uploader.remove(failed);
  const { files, done: count, failed: failures, bytes, bytesSent } = uploader.totals;
  assert.deepEqual([files, count, failures, bytes, bytesSent], [1, 1, 0, 10, 10]);
});

test("what is cancelled leaves the batch", async () => {
  const { uploader, server } = manager();
  server.hold();
  const [first] = [uploader.add(ten("a")), uploader.add(ten("b"))];
  await settle();
  await first.cancel();
  assert.deepEqual([uploader.totals.files, uploader.totals.bytes], [1, 10]);
  await uploader.cancelAll();
});

test("a batch begins anew when all has come to rest, and not before", async () => {
  const { uploader, server } = manager();
  server.hold();
  const first = uploader.add(ten("a"));
  await settle();
  first.pause();
  uploader.add(ten("b"));
  assert.equal(uploader.totals.files, 2);
  server.letGo();
  await Promise.all(uploader.uploads.map((upload) => upload.resume()));
  assert.deepEqual([uploader.totals.files, uploader.totals.done], [2, 2]);
  uploader.add(ten("c"));
  const { files, done, active, bytes } = uploader.totals;
  assert.deepEqual([files, done, active, bytes], [1, 0, 1, 10]);
  await settle();
});

test("a failed upload tried again belongs to the batch it failed in", async () => {
  const { uploader, server } = manager();
  server.script("handshake", refusal(413, "too_large"));
  const [failed] = [uploader.add(ten("a")), uploader.add(ten("b"))];
  await settle();
  await failed.resume();
  const { files, done, failed: failures } = uploader.totals;
  assert.deepEqual([files, done, failures], [2, 2, 0]);
});

test("speed is that of all together, though each file is too small to have one", async () => {
  const { uploader, server, clock } = manager({ files: 1 });
  const sendChunk = server.sendChunk.bind(server);
  server.sendChunk = async (...call) => {
    await new Promise((resolve) => clock.setTimeout(resolve, 100));
    return sendChunk(...call);
  };
  for (let index = 0; index < 100; index += 1) {
    uploader.add(fileOf(String(index).padStart(4, "0"), { name: String(index) }));
  }
  await clock.advance(5000);
  const { speed, timeLeft, bytes, bytesSent } = uploader.totals;
  assert.ok(speed > 35 && speed < 45, `${speed} bytes a second`);
  assert.ok(Math.abs(timeLeft - (bytes - bytesSent) / 40) < 1, `${timeLeft} s`);
  uploader.pauseAll();
  assert.deepEqual([uploader.totals.speed, uploader.totals.timeLeft], [0, null]);
});

test("a wait for the network is told when nothing is being sent", async () => {
  const { uploader, server, connectivity } = manager();
  server.hold();
  uploader.add(ten("a"));
  await settle();
  connectivity.goOffline();
  await settle();
  const { waitingForNetwork, speed, active } = uploader.totals;
  assert.deepEqual([waitingForNetwork, speed, active], [true, 0, 1]);
  server.letGo();
  connectivity.goOnline();
  await settle();
  assert.equal(uploader.totals.waitingForNetwork, false);
});

test("the next attempt is the earliest of all", async () => {
  const { uploader, server, clock } = manager();
  const wait = (retryAfter) => refusal(503, "unavailable", { retryAfter });
  server.script("handshake", wait(60), wait(20), wait(40));
  for (const letter of "abc") uploader.add(ten(letter));
  await settle();
  const { nextAttempt } = uploader.totals;
  const moments = uploader.uploads.map(({ status }) => status.retryAt);
  assert.equal(nextAttempt, Math.min(...moments));
  assert.ok(nextAttempt >= clock.now() + 20_000 && nextAttempt < clock.now() + 40_000);
  await uploader.cancelAll();
});

test("a network error while the browser believes itself online has a next attempt", async () => {
  const { uploader, server } = manager();
  server.script("handshake", networkError());
  uploader.add(ten("a"));
  await settle();
  const { nextAttempt, waitingForNetwork } = uploader.totals;
  assert.deepEqual([nextAttempt !== null, waitingForNetwork], [true, false]);
  await uploader.cancelAll();
});
