import assert from "node:assert/strict";
import { test } from "node:test";

import { Uploader } from "../../static/js/uploads/uploader.js";
import { FakeHasher, FakeServer, refusal } from "./helpers/server.js";
import { bytesOf, CONTENT, fileOf } from "./helpers/uploading.js";
import { fakeWorld, settle } from "./helpers/world.js";

function manager({ server = new FakeServer(), hasher = new FakeHasher(), ...options } = {}) {
  const world = fakeWorld();
  return { uploader: new Uploader({ transport: server, hasher, ...world, ...options }), server, hasher };
}

const named = (name) => fileOf(`content of ${name}`, { name });
const phases = (uploader) => uploader.uploads.map(({ status }) => status.phase);

test("two files are sent at once; the third is hashed meanwhile and waits", async () => {
  const { uploader, server, hasher } = manager();
  server.hold();
  for (const name of "abc") uploader.add(named(name));
  await settle();
  assert.deepEqual(phases(uploader), ["sending", "sending", "waiting"]);
  assert.equal(hasher.files, 3);
  assert.equal(uploader.uploads[2].status.checked, named("c").size);
  assert.equal(server.count("handshake"), 2);
  server.letGo();
  await settle();
  assert.deepEqual(phases(uploader), ["done", "done", "done"]);
});

test("a paused file gives its place to the next, and queues again on resume", async () => {
  const { uploader, server } = manager({ files: 1 });
  server.hold();
  const [first, second] = [uploader.add(named("a")), uploader.add(named("b"))];
  await settle();
  first.pause();
  await settle();
  assert.deepEqual(phases(uploader), ["paused", "sending"]);
  first.resume();
  await settle();
  assert.deepEqual(phases(uploader), ["waiting", "sending"]);
  server.letGo();
  await settle();
  assert.deepEqual([first.status.phase, second.status.phase], ["done", "done"]);
});

test("one file's failure leaves the others going", async () => {
  const { uploader, server } = manager({ files: 1 });
  server.script("handshake", refusal(413, "too_large"));
  for (const name of "ab") uploader.add(named(name));
  await settle();
  assert.deepEqual(phases(uploader), ["failed", "done"]);
});

test("busy while leaving would interrupt something, and no longer", async () => {
  const { uploader, server } = manager();
  assert.equal(uploader.busy, false);
  server.hold();
  const upload = uploader.add(named("a"));
  assert.equal(uploader.busy, true);
  await settle();
  upload.pause();
  assert.equal(uploader.busy, false);
  server.letGo();
  await upload.resume();
  assert.equal(uploader.busy, false);
});

test("every change is told, with the upload that changed", async () => {
  const { uploader } = manager();
  const changed = new Set();
  uploader.addEventListener("change", ({ detail }) => changed.add(detail));
  const uploads = [uploader.add(named("a")), uploader.add(named("b"))];
  await settle();
  assert.deepEqual(changed, new Set(uploads));
});

test("resuming a session the page is at already does not send everything twice", async () => {
  const { uploader, server } = manager();
  server.hold();
  const upload = uploader.add(fileOf(CONTENT));
  await settle();
  upload.pause();
  const session = upload.status.session;
  assert.equal(uploader.add(fileOf(CONTENT), { session }), upload);
  server.letGo();
  await settle();
  assert.deepEqual(phases(uploader), ["done"]);
  assert.equal(server.content("s1").toString(), bytesOf(CONTENT).toString());
});

test("what is at rest can be put away, what works cannot, and no session is touched", async () => {
  const { uploader, server } = manager();
  server.script("chunk", refusal(413, "too_large"));
  const failed = uploader.add(named("a"));
  await settle();
  server.hold();
  const working = uploader.add(named("b"));
  await settle();
  uploader.remove(working);
  uploader.remove(failed);
  assert.deepEqual(uploader.uploads, [working]);
  assert.equal(server.count("cancel"), 0);
  await working.cancel();
});
