import assert from "node:assert/strict";
import { test } from "node:test";

import { Uploader } from "../../static/js/uploads/uploader.js";
import { FakeHasher, FakeServer, refusal } from "./helpers/server.js";
import { bytesOf, CONTENT, fileOf } from "./helpers/uploading.js";
import { fakeWorld, settle } from "./helpers/world.js";

function manager({ server = new FakeServer(), hasher = new FakeHasher(), ...options } = {}) {
  const world = fakeWorld();
  const uploader = new Uploader({ transport: server, hasher, ...world, ...options });
  return { uploader, server, hasher, ...world };
}

const named = (name) => fileOf(`content of ${name}`, { name });
const phases = (uploader) => uploader.uploads.map(({ status }) => status.phase);

test("three files are sent at once; the fourth is hashed meanwhile and waits", async () => {
  const { uploader, server, hasher } = manager();
  server.hold();
  for (const name of "abcd") uploader.add(named(name));
  await settle();
  assert.deepEqual(phases(uploader), ["sending", "sending", "sending", "waiting"]);
  assert.equal(hasher.files, 4);
  assert.equal(uploader.uploads[3].status.checked, named("d").size);
  assert.equal(server.count("handshake"), 3);
  server.letGo();
  await settle();
  assert.deepEqual(phases(uploader), ["done", "done", "done", "done"]);
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

// --------------------------------------------------------- who waits for whom

test("a file that is being verified keeps nobody waiting", async () => {
  const { uploader, server, clock } = manager({ files: 1, server: new FakeServer({ looks: 9 }) });
  for (const name of "ab") uploader.add(named(name));
  await settle();
  assert.deepEqual(phases(uploader), ["verifying", "verifying"]);
  assert.equal(server.peak, 3);
  await clock.advance(60_000);
  assert.deepEqual(phases(uploader), ["done", "done"]);
});

test("of many files being verified only two are asked about in short intervals", async () => {
  const { uploader, server, clock } = manager({ server: new FakeServer({ looks: 99 }) });
  for (const name of "abcdef") uploader.add(named(name));
  await clock.advance(60);
  assert.equal(server.count("status"), 2);
  await uploader.cancelAll();
});

test("a file that waited to be asked about is not made to wait once more", async () => {
  const { uploader, server, clock } = manager({ server: new FakeServer({ looks: 1 }) });
  for (const name of "abcdef") uploader.add(named(name));
  await clock.advance(60);
  assert.deepEqual(new Set(phases(uploader)), new Set(["done"]));
  assert.equal(server.count("status"), 6);
});

test("a large file being verified does not keep small ones from being asked about", async () => {
  const { uploader, server, clock } = manager({ server: new FakeServer({ looks: 99 }) });
  for (const name of ["large", "larger"]) uploader.add(named(name));
  await settle();
  server.looks = 1;
  uploader.add(named("small"));
  await clock.advance(1000);
  assert.deepEqual(phases(uploader), ["verifying", "verifying", "done"]);
  await uploader.cancelAll();
});

test("a file found damaged takes a turn again before it is repaired", async () => {
  const { uploader, server } = manager({ files: 1 });
  const verdict = Promise.withResolvers();
  server.script("complete", async ({ id }) => {
    await verdict.promise;
    server.session(id).chunks.delete(0);
    return server.info(id);
  });
  uploader.add(named("a"));
  await settle();
  server.hold();
  uploader.add(named("b"));
  await settle();
  verdict.resolve();
  await settle();
  assert.deepEqual(phases(uploader), ["waiting", "sending"]);
  server.letGo();
  await settle();
  assert.deepEqual(phases(uploader), ["done", "done"]);
  assert.equal(server.content("s1").toString(), "content of a");
});

test("the number of files sent at once can change while they are", async () => {
  const { uploader, server } = manager();
  assert.equal(uploader.files, 3);
  server.hold();
  for (const name of "abcdef") uploader.add(named(name));
  await settle();
  const sending = () => phases(uploader).filter((phase) => phase === "sending").length;
  uploader.files = 5;
  await settle();
  assert.deepEqual([uploader.files, sending()], [5, 5]);
  uploader.files = 1;
  server.letGo();
  await settle();
  assert.deepEqual(new Set(phases(uploader)), new Set(["done"]));
  for (const senseless of [0, 11, 1.5, NaN]) {
    assert.throws(() => (uploader.files = senseless), RangeError);
  }
});

// -------------------------------------------------------------- equal content

const twins = (uploader) => [
  uploader.add(fileOf(CONTENT, { name: "a.bin" }), { folder: "one" }),
  uploader.add(fileOf(CONTENT, { name: "b.bin" }), { folder: "two" }),
];

test("equal files are sent once, and each has an entry under its own name", async () => {
  const { uploader, server } = manager();
  server.hold();
  const [first, second] = twins(uploader);
  await settle();
  assert.deepEqual(phases(uploader), ["sending", "waiting"]);
  assert.equal(server.count("handshake"), 1);
  server.letGo();
  await settle();
  assert.deepEqual(phases(uploader), ["done", "done"]);
  assert.deepEqual(server.chunksSent().sort(), [0, 1, 2, 3, 4]);
  assert.deepEqual([first.status.existed, second.status.existed], [false, true]);
  const { filename, folder } = second.status.session;
  assert.deepEqual([filename, folder], ["b.bin", "two"]);
});

test("an equal file does not hold a turn while it waits", async () => {
  const { uploader, server } = manager({ files: 2 });
  server.hold();
  twins(uploader);
  uploader.add(named("c"));
  await settle();
  assert.deepEqual(phases(uploader), ["sending", "waiting", "sending"]);
  server.letGo();
  await settle();
});

test("when the first of two equal files fails the second goes on, to a name of its own", async () => {
  const { uploader, server } = manager();
  server.script("chunk", refusal(413, "too_large"));
  const [first, second] = twins(uploader);
  await settle();
  assert.deepEqual(phases(uploader), ["failed", "done"]);
  assert.equal(second.status.session.filename, "b.bin");
  assert.equal((await first.resume()).phase, "done");
  assert.equal(first.status.session.filename, "a.bin");
  assert.deepEqual(server.chunksSent().filter((index) => index === 4).length, 1);
});

test("when the first of two equal files is cancelled its session goes before the second begins", async () => {
  const { uploader, server } = manager();
  server.hold();
  const [first, second] = twins(uploader);
  await settle();
  server.letGo();
  const slow = Promise.withResolvers();
  server.script("cancel", () => slow.promise);
  const cancelled = first.cancel();
  await settle();
  assert.equal(server.count("handshake"), 1);
  slow.resolve();
  await cancelled;
  await settle();
  assert.deepEqual(phases(uploader), ["cancelled", "done"]);
  assert.equal(server.session("s1").state, "cancelled");
  assert.equal(second.status.session.id, "s2");
});

test("cancelling a paused file takes nothing from the equal file that goes on with its session", async () => {
  const { uploader, server } = manager();
  server.script("chunk", null, null, null, () => new Promise(() => {}));
  const [first, second] = twins(uploader);
  await settle();
  server.hold();
  first.pause();
  await settle();
  assert.deepEqual(phases(uploader), ["paused", "sending"]);
  const cancelled = first.cancel();
  server.letGo();
  await cancelled;
  await settle();
  // The content is complete by then, under both names, and what is complete stays.
  assert.deepEqual(phases(uploader), ["done", "done"]);
  assert.equal(server.count("cancel"), 0);
  assert.equal(second.status.session.filename, "b.bin");
});

test("of two paused files at one session the first is cancelled, and the other still goes on", async () => {
  const { uploader, server } = manager();
  server.hold();
  const [first, second] = twins(uploader);
  await settle();
  first.pause();
  await settle();
  second.pause();
  assert.deepEqual([first.sessionId, second.sessionId], ["s1", "s1"]);
  await first.cancel();
  server.letGo();
  assert.equal((await second.resume()).phase, "done");
  assert.deepEqual([phases(uploader)[0], server.count("cancel")], ["cancelled", 0]);
});

// --------------------------------------------------------------- all together

const MANY = 500;

/** As many uploads, three of them being sent and the others waiting. */
async function crowd() {
  const parts = manager();
  parts.server.hold();
  for (let index = 0; index < MANY; index += 1) parts.uploader.add(named(`file ${index}`));
  await settle();
  return parts;
}

const counted = (uploader, phase) => phases(uploader).filter((each) => each === phase).length;

test("all are paused without another one beginning, and all go on", async () => {
  const { uploader, server } = await crowd();
  const begun = server.count("handshake");
  uploader.pauseAll();
  await settle();
  assert.deepEqual([counted(uploader, "paused"), server.count("handshake")], [MANY, begun]);
  server.letGo();
  uploader.resumeAll();
  await Promise.all(uploader.uploads.map((upload) => upload.start()));
  assert.equal(counted(uploader, "done"), MANY);
});

test("what can be seen of hundreds changes once for each, not once for each of each", async () => {
  const { uploader } = await crowd();
  let changes = 0;
  uploader.addEventListener("change", () => (changes += 1));
  uploader.pauseAll();
  assert.equal(changes, MANY);
});

test("resuming all makes those that wait for another try make it now", async () => {
  const { uploader, server, clock } = manager();
  server.script("handshake", refusal(503, "unavailable", { retryAfter: 600 }));
  uploader.add(named("a"));
  await settle();
  assert.deepEqual(phases(uploader), ["retrying"]);
  uploader.resumeAll();
  await settle();
  assert.deepEqual([phases(uploader), clock.pending], [["done"], 0]);
});

test("retrying all leaves out what needs its file chosen again, and what was refused for good", async () => {
  const { uploader, server } = manager();
  const refusals = [refusal(413, "quota_exceeded"), refusal(401, "signed_out"), refusal(415, "type_not_allowed")];
  server.script("handshake", ...refusals);
  const changed = named("d");
  for (const file of [named("a"), named("b"), named("c"), changed]) uploader.add(file);
  Object.defineProperty(changed, "size", { value: 1 });
  await settle();
  assert.deepEqual(phases(uploader), ["failed", "failed", "failed", "failed"]);
  assert.equal(uploader.canRetry, true);
  const [refused, gone] = uploader.uploads.slice(2);
  for (const upload of [refused, gone]) upload.addEventListener("change", () => assert.fail("tried again"));
  uploader.retryAll();
  await settle();
  assert.deepEqual(phases(uploader), ["done", "done", "failed", "failed"]);
  assert.equal(refused.status.error.code, "type_not_allowed");
  assert.equal(gone.status.error.code, "source_changed");
  assert.equal(uploader.canRetry, false);
});

test("all are cancelled: what is under way, waits, or failed with a session; what is done stays", async () => {
  const { uploader, server } = manager({ files: 1 });
  uploader.add(named("done"));
  await settle();
  server.script("chunk", refusal(413, "too_large"));
  uploader.add(named("failed"));
  await settle();
  server.script("handshake", refusal(413, "too_large"));
  uploader.add(named("failed without a session"));
  await settle();
  server.hold();
  for (const name of ["sending", "waiting"]) uploader.add(named(name));
  await settle();
  await uploader.cancelAll();
  assert.deepEqual(phases(uploader), ["done", "cancelled", "failed", "cancelled", "cancelled"]);
  const states = [...server.sessions.values()].map(({ state }) => state);
  assert.deepEqual(states, ["completed", "cancelled", "cancelled"]);
});

test("an upload is found by its session, or by the one it is meant to continue", async () => {
  const { uploader, server } = manager();
  server.hold();
  const upload = uploader.add(fileOf(CONTENT));
  await settle();
  assert.equal(uploader.find("s1"), upload);
  assert.equal(uploader.find("s9"), null);
  const session = server.begin(bytesOf("content of b"), { filename: "b" });
  const offered = uploader.add(named("b"), { session });
  assert.equal(uploader.find(session.id), offered);
  await uploader.cancelAll();
});

test("of two uploads at a session the one still at work is found", async () => {
  const { uploader, server } = manager();
  const [first, second] = twins(uploader);
  for (const upload of [first, second]) {
    upload.parallel = 1;
    server.script("chunk", refusal(413, "too_large"));
  }
  await settle();
  assert.deepEqual(phases(uploader), ["failed", "failed"]);
  assert.deepEqual([first.sessionId, second.sessionId], ["s1", "s1"]);
  assert.equal(uploader.find("s1"), second);
  server.hold();
  first.resume();
  assert.equal(uploader.find("s1"), first);
  await uploader.cancelAll();
});

test("many are added with pauses between, in order, and as one batch", async () => {
  const { uploader, clock } = manager();
  const adding = uploader.addAll(
    Array.from({ length: 60 }, (_, index) => ({ file: named(String(index)), folder: "all" })),
  );
  assert.equal(uploader.uploads.length, 25);
  await settle();
  assert.equal(counted(uploader, "done"), 25);
  await clock.advance(0);
  const uploads = await adding;
  assert.deepEqual(uploads, uploader.uploads);
  assert.deepEqual(uploads.map(({ file }) => file.name), [...Array(60).keys()].map(String));
  assert.equal(uploads[59].folder, "all");
  await settle();
  assert.deepEqual([uploader.totals.files, uploader.totals.done], [60, 60]);
});

test("busy while a file is paused that the server has not heard of, for leaving would lose it", async () => {
  const { uploader, server } = manager({ files: 1 });
  server.hold();
  const [known, unknown] = [uploader.add(named("a")), uploader.add(named("b"))];
  await settle();
  known.pause();
  unknown.pause();
  await settle();
  assert.deepEqual(phases(uploader), ["paused", "paused"]);
  assert.deepEqual([known.sessionId, unknown.sessionId], ["s1", null]);
  assert.equal(uploader.busy, true);
  await unknown.cancel();
  assert.equal(uploader.busy, false);
});
