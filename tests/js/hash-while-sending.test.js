/** Large files: hashed while they are sent (ADR 29). Here all are large. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { Uploader } from "../../static/js/uploads/uploader.js";
import { FakeHasher, FakeServer, networkError, refusal, sha256 } from "./helpers/server.js";
import { bytesOf, CONTENT, fileOf, uploading } from "./helpers/uploading.js";
import { fakeWorld, settle } from "./helpers/world.js";

const CHANGING = /^(handshake|chunk|complete|cancel)/;

const HASH = sha256(bytesOf(CONTENT));

const serving = (options) => new FakeServer({ small: 0, ...options });

/** Counts the bytes that anybody reads of it. */
function countingFile(text) {
  const file = fileOf(text);
  const count = { bytes: 0 };
  const slice = file.slice.bind(file);
  file.slice = (start, end) => {
    const part = slice(start, end);
    const arrayBuffer = part.arrayBuffer.bind(part);
    part.arrayBuffer = () => {
      count.bytes += part.size;
      return arrayBuffer();
    };
    return part;
  };
  return { file, count };
}

/** A hasher whose every passage stands still before a chunk. */
function hashingUpTo(index) {
  const hasher = new FakeHasher();
  const pass = hasher.pass.bind(hasher);
  hasher.pass = (...call) => {
    const passing = pass(...call);
    hasher.passages.at(-1).stopAt(index);
    return passing;
  };
  return hasher;
}

test("a large file goes out while it is hashed, and its hash is declared at the end", async () => {
  const server = serving();
  const { upload, phases } = uploading({ server });
  const { phase, session, checked } = await upload.start();
  assert.deepEqual([phase, session.sha256, checked], ["done", HASH, 18]);
  assert.deepEqual(server.log[0], "handshake");
  assert.equal(server.count("handshake"), 2);
  assert.deepEqual(server.chunksSent(), [0, 1, 2, 3, 4]);
  assert.equal(server.content("s1").toString(), CONTENT);
  assert.deepEqual(phases.filter((each) => each !== "waiting"), ["sending", "done"]);
});

test("a large file is read once", async () => {
  const { file, count } = countingFile(CONTENT);
  const server = serving();
  const { upload } = uploading({ server, file });
  assert.equal((await upload.start()).phase, "done");
  // All of it, and one byte before, after, and with each chunk: whether it is still the file that was chosen.
  assert.equal(count.bytes, 18 + 2 + 5);
});

test("chunks that went by while others were being sent are read when their turn comes", async () => {
  const text = "x".repeat(80);
  const server = serving();
  const { upload } = uploading({ server, file: fileOf(text) });
  server.hold();
  const outcome = upload.start();
  await settle();
  await settle();
  assert.deepEqual([upload.status.checked, upload.status.acknowledged], [80, 0]);
  server.letGo();
  assert.equal((await outcome).phase, "done");
  assert.equal(server.content("s1").toString(), text);
});

test("chunks that were hashed ahead are few, however slow the line is", async () => {
  const server = serving();
  const hasher = new FakeHasher();
  const pass = hasher.pass.bind(hasher);
  let cut = 0;
  hasher.pass = (file, options) =>
    pass(file, {
      ...options,
      onChunk: (chunk) => {
        cut += 1;
        options.onChunk(chunk);
      },
    });
  const { upload } = uploading({ server, hasher, file: fileOf("x".repeat(400)) });
  server.hold();
  const outcome = upload.start();
  for (let turn = 0; turn < 10; turn += 1) await settle();
  assert.equal(upload.status.checked, 400);
  // Three on their way, three that wait.
  assert.equal(cut, 6);
  server.letGo();
  assert.equal((await outcome).phase, "done");
});

test("the key of a file is that of its folder, name, size and time, whatever is in it", async () => {
  const keys = new Set();
  for (const [text, name, lastModified, folder] of [
    ["aaaabbbb", "a.bin", 1000, ""],
    ["bbbbaaaa", "a.bin", 1000, ""],
    ["aaaabbb", "a.bin", 1000, ""],
    ["aaaabbbb", "b.bin", 1000, ""],
    ["aaaabbbb", "a.bin", 1001, ""],
    ["aaaabbbb", "a.bin", 1000, "photos"],
  ]) {
    const server = serving();
    const offers = [];
    const handshake = server.handshake.bind(server);
    server.handshake = (offer) => offers.push(offer) && handshake(offer);
    await uploading({ server, file: fileOf(text, { name, lastModified }), folder }).upload.start();
    assert.deepEqual([offers[0].sha256, offers[1].resume_key], [undefined, offers[0].resume_key]);
    keys.add(offers[0].resume_key);
  }
  assert.equal(keys.size, 5);
});

test("known content is found when the hash is known: the rest is not sent, and the session goes", async () => {
  const server = serving({ existing: [HASH] });
  const { upload } = uploading({ server, parallel: 1 });
  server.hold();
  const outcome = upload.start();
  await settle();
  await settle();
  server.letGo();
  const { phase, existed, session } = await outcome;
  assert.deepEqual([phase, existed, session.id], ["done", true, "existing"]);
  assert.deepEqual(server.chunksSent(), [0]);
  assert.equal(server.session("s1").state, "cancelled");
});

test("known content whose begun session cannot be dropped at once is done when it is", async () => {
  const server = serving({ existing: [HASH] });
  const { upload, clock } = uploading({ server });
  server.script("cancel", networkError(), refusal(503));
  const outcome = upload.start();
  await clock.advance(60_000);
  assert.equal((await outcome).phase, "done");
  assert.equal(server.session("s1").state, "cancelled");
});

test("all sent before the hash is known: the file is checked to its end, and nobody waits for a turn", async () => {
  const server = serving();
  const hasher = hashingUpTo(4);
  const { upload } = uploading({ server, hasher });
  const take = hasher.pass;
  hasher.pass = (file, options) => {
    // As when another large file is being hashed: it begins when everything is sent.
    const begun = Promise.withResolvers();
    hasher.begin = begun.resolve;
    const late = begun.promise.then(() => take(file, options).hash);
    return { hash: late, more: () => {} };
  };
  const outcome = upload.start();
  await settle();
  assert.deepEqual([upload.status.phase, upload.status.acknowledged], ["waiting", 18]);
  hasher.begin();
  await settle();
  const { phase, checked, acknowledged, comparing } = upload.status;
  assert.deepEqual([phase, checked, acknowledged, comparing], ["checking", 16, 18, false]);
  hasher.passages[0].goOn();
  assert.equal((await outcome).phase, "done");
  assert.deepEqual(server.log.slice(-2), ["ask", "handshake"]);
});

test("paused while it is hashed and sent, it goes on with what is missing", async () => {
  const server = serving();
  const hasher = hashingUpTo(2);
  const { upload } = uploading({ server, hasher });
  const outcome = upload.start();
  await settle();
  assert.deepEqual([upload.status.phase, upload.status.acknowledged], ["sending", 8]);
  upload.pause();
  assert.equal((await outcome).phase, "paused");
  const resumed = upload.resume();
  await settle();
  hasher.passages[1].goOn();
  assert.equal((await resumed).phase, "done");
  assert.deepEqual(server.chunksSent(), [0, 1, 2, 3, 4]);
  assert.equal(server.count("check"), 0);
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("cancelled while it is hashed and sent, its session goes", async () => {
  const server = serving();
  const hasher = hashingUpTo(2);
  const { upload } = uploading({ server, hasher });
  upload.start();
  await settle();
  assert.equal((await upload.cancel()).phase, "cancelled");
  assert.equal(server.session("s1").state, "cancelled");
  assert.equal(server.count("cancel"), 1);
});

test("cancelled while its hash is declared, it leaves content alone that was there before", async () => {
  for (const parallel of [1, 9]) {
    const server = serving({ existing: [HASH] });
    const { upload } = uploading({ server, parallel });
    const slow = Promise.withResolvers();
    server.script("handshake", null, () => slow.promise);
    upload.start();
    await settle();
    await settle();
    assert.equal(server.count("handshake"), 2);
    const cancelled = upload.cancel();
    slow.resolve();
    assert.equal((await cancelled).phase, "done");
    assert.deepEqual([server.session("s1").state, server.count("cancel")], ["cancelled", 1]);
    assert.equal(server.session("existing").state, "completed");
  }
});

test("cancelled elsewhere while its hash is awaited, it is not begun anew", async () => {
  const server = serving();
  const hasher = hashingUpTo(4);
  const { upload } = uploading({ server, hasher });
  const outcome = upload.start();
  await settle();
  server.script("ask", refusal(410, "session_cancelled"));
  hasher.passages[0].goOn();
  server.script("chunk", refusal(410, "session_cancelled"));
  assert.equal((await outcome).phase, "cancelled");
  assert.equal(server.count("handshake"), 1);
});

test("a session that expires while it is sent is begun anew under the same key", async () => {
  const server = serving();
  const { upload } = uploading({ server, parallel: 1 });
  server.script("chunk", null, ({ id }) => {
    server.session(id).state = "expired";
    throw refusal(410, "session_expired");
  });
  assert.equal((await upload.start()).phase, "done");
  assert.equal(server.content("s2").toString(), CONTENT);
});

test("a line that fails for a while is waited out, and the hash goes on meanwhile", async () => {
  const server = serving();
  const { upload, clock } = uploading({ server, parallel: 1 });
  server.script("chunk", networkError(), refusal(503), null, refusal(422, "digest_mismatch"));
  const outcome = upload.start();
  await settle();
  assert.equal(upload.status.checked, 18);
  await clock.advance(60_000);
  assert.equal((await outcome).phase, "done");
  assert.equal(server.content("s1").toString(), CONTENT);
});

// ------------------------------------------------------------- coming back

test("on another visit the key finds the session; a few chunks prove the file to be its own", async () => {
  const server = serving();
  const before = uploading({ server, hasher: hashingUpTo(3) });
  before.upload.start();
  await settle();
  before.upload.pause();
  await settle();
  const sent = server.log.length;
  const { upload } = uploading({ server });
  const { phase, session } = await upload.start();
  assert.deepEqual([phase, session.id], ["done", "s1"]);
  assert.deepEqual(server.log.slice(sent, sent + 2), ["handshake", "check"]);
  assert.deepEqual(server.chunksSent(), [0, 1, 2, 3, 4]);
});

test("another file under the same key is sent by itself, and the interrupted one stays", async () => {
  const server = serving();
  const before = uploading({ server, hasher: hashingUpTo(3) });
  before.upload.start();
  await settle();
  before.upload.pause();
  await settle();
  const other = "AAAAbbbbccccddddee";
  const { upload } = uploading({ server, file: fileOf(other) });
  const { phase, session } = await upload.start();
  assert.deepEqual([phase, session.id], ["done", "s2"]);
  assert.equal(server.content("s2").toString(), other);
  assert.deepEqual([server.session("s1").state, server.content("s1").toString()], ["active", "aaaabbbbcccc"]);
});

test("a file chosen for an interrupted upload is compared, then only what is missing goes out", async () => {
  const server = serving();
  const session = server.begin(bytesOf(CONTENT), { received: [0, 3], sha: null });
  const { upload, phases } = uploading({ server, session });
  let comparing = false;
  upload.addEventListener("change", () => (comparing ||= upload.status.comparing));
  assert.equal((await upload.start()).phase, "done");
  assert.deepEqual(server.log.slice(0, 2), ["ask", "check"]);
  assert.deepEqual(server.chunksSent(), [1, 2, 4]);
  assert.deepEqual([comparing, phases.includes("checking")], [true, true]);
  assert.deepEqual([server.log.at(-1), server.count("handshake")], ["complete", 0]);
});

test("a file of the same size but other content is refused before anything is changed", async () => {
  for (const changed of ["AAAAbbbbccccddddee", "aaaabbbbccccDdddee"]) {
    const server = serving();
    const session = server.begin(bytesOf(CONTENT), { received: [0, 3], sha: null });
    const { upload, hasher } = uploading({ server, session, file: fileOf(changed) });
    const { phase, error } = await upload.start();
    assert.deepEqual([phase, error.code, hasher.files], ["failed", "wrong_file", 0]);
    assert.match(error.message, /same name but other content/);
    assert.deepEqual(server.log.filter((entry) => CHANGING.test(entry)), []);
  }
});

test("a session whose hash is declared takes only the file that has it, so that is hashed first", async () => {
  const server = serving();
  const session = server.begin(bytesOf(CONTENT), { received: [0] });
  const right = uploading({ server, session: { ...session, sha256: null } });
  assert.equal((await right.upload.start()).phase, "done");
  assert.equal(right.hasher.passages.length, 0);
  const other = server.begin(bytesOf(CONTENT), { received: [0] });
  const wrong = uploading({ server, session: other, file: fileOf("aaaabbbbccccddddEE") });
  assert.equal((await wrong.upload.start()).error.code, "wrong_file");
  assert.deepEqual(server.session(other.id).chunks.size, 1);
});

test("a change that the comparison missed fails as a whole, and is then sent anew", async () => {
  const server = serving();
  const session = server.begin(bytesOf(CONTENT), { received: [0, 1, 2], sha: null });
  const changed = "aaaaBBBBccccddddee";
  const { upload } = uploading({ server, session, file: fileOf(changed) });
  assert.equal((await upload.start()).error.code, "verification_failed");
  assert.equal((await upload.resume()).phase, "done");
  assert.equal(server.content("s2").toString(), changed);
});

// --------------------------------------------------------- a changed source

test("a file that changed while it was hashed and sent is never declared, nor completed", async () => {
  const file = fileOf(CONTENT);
  const server = serving();
  const hasher = hashingUpTo(3);
  const { upload } = uploading({ server, hasher, file });
  const outcome = upload.start();
  await settle();
  // As Chromium has it: size and date stay as they were, and a stream goes on, but nothing new can be read.
  const slice = file.slice.bind(file);
  file.slice = (start, end) =>
    end - start === 1
      ? { arrayBuffer: async () => Promise.reject(new Error("NotReadableError")) }
      : slice(start, end);
  hasher.passages[0].goOn();
  const { phase, error } = await outcome;
  assert.deepEqual([phase, error.code], ["failed", "source_changed"]);
  assert.deepEqual([server.count("handshake"), server.count("complete")], [1, 0]);
  assert.equal(server.session("s1").sha256, null);
});

test("a change after the whole was hashed stops what was cut before it, too", async () => {
  const file = fileOf(CONTENT);
  const server = serving();
  const { upload } = uploading({ server, file, parallel: 1 });
  server.hold();
  const outcome = upload.start();
  await settle();
  await settle();
  assert.equal(upload.status.checked, 18);
  file.slice = () => ({ arrayBuffer: async () => Promise.reject(new Error("NotReadableError")) });
  server.letGo();
  const { phase, error } = await outcome;
  assert.deepEqual([phase, error.code, server.chunksSent()], ["failed", "source_changed", [0]]);
});

test("a file that changed before its turn opens no session", async () => {
  const file = fileOf(CONTENT);
  file.slice = () => ({ arrayBuffer: async () => Promise.reject(new Error("NotReadableError")) });
  const { upload, server } = uploading({ server: serving(), file });
  assert.equal((await upload.start()).error.code, "source_changed");
  assert.deepEqual(server.log, []);
});

test("a file whose hashing breaks off stops at once, whatever is on its way", async () => {
  const server = serving();
  const hasher = new FakeHasher();
  hasher.pass = () => ({ hash: Promise.reject(refusal(0, "hashing_failed")), more: () => {} });
  const { upload } = uploading({ server, hasher });
  server.hold();
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code, server.inFlight], ["failed", "hashing_failed", 0]);
});

// ----------------------------------------------------- no room, and company

test("known content needs no room: where there is none, the file is hashed first", async () => {
  for (const refused of [
    refusal(413, "quota_exceeded"),
    refusal(507, "storage_full", { retryAfter: 60 }),
  ]) {
    const server = serving({ existing: [HASH] });
    const { upload } = uploading({ server });
    server.script("handshake", refused);
    const { phase, existed } = await upload.start();
    assert.deepEqual([phase, existed, server.chunksSent()], ["done", true, []]);
  }
});

function page({ server = serving(), hasher = new FakeHasher(), ...options } = {}) {
  const uploader = new Uploader({ transport: server, hasher, ...fakeWorld(), ...options });
  return { uploader, server, hasher };
}

test("one content under two names is sent once", async () => {
  const { uploader, server } = page();
  for (const name of ["a.bin", "b.bin"]) uploader.add(fileOf(CONTENT, { name }));
  for (let turn = 0; turn < 5; turn += 1) await settle();
  assert.deepEqual(uploader.uploads.map(({ phase }) => phase), ["done", "done"]);
  assert.equal(uploader.uploads[1].status.existed, true);
  assert.deepEqual(server.chunksSent().sort(), [0, 1, 2, 3, 4]);
});

test("the same file twice at once is sent once", async () => {
  const { uploader, server } = page();
  const file = fileOf(CONTENT);
  for (let time = 0; time < 2; time += 1) uploader.add(file);
  for (let turn = 0; turn < 5; turn += 1) await settle();
  assert.deepEqual(uploader.uploads.map(({ phase }) => phase), ["done", "done"]);
  assert.deepEqual(server.chunksSent().sort(), [0, 1, 2, 3, 4]);
  assert.deepEqual([...server.sessions.values()].map(({ state }) => state), ["completed"]);
});

test("a file that is cancelled and chosen again does not go on with the session that goes", async () => {
  const { uploader, server } = page();
  const slow = Promise.withResolvers();
  server.hold();
  const first = uploader.add(fileOf(CONTENT));
  await settle();
  server.script("cancel", () => slow.promise);
  first.cancel();
  const second = uploader.add(fileOf(CONTENT));
  server.letGo();
  await settle();
  assert.equal(server.count("handshake"), 1);
  slow.resolve();
  for (let turn = 0; turn < 5; turn += 1) await settle();
  assert.deepEqual([first.phase, second.phase, second.sessionId], ["cancelled", "done", "s2"]);
});

test("while one waits for its hash, its place is another's", async () => {
  const hasher = hashingUpTo(4);
  const { uploader, server } = page({ hasher, files: 1 });
  const all = uploader.add(fileOf(CONTENT));
  await settle();
  const other = uploader.add(fileOf("another file", { name: "b.bin" }));
  await settle();
  // Four chunks are in; the fifth is yet to come by, and is not waited for by itself.
  assert.deepEqual([all.phase, all.status.acknowledged], ["sending", 16]);
  hasher.passages[0].goOn();
  for (let turn = 0; turn < 5; turn += 1) await settle();
  assert.deepEqual([all.phase, other.phase], ["done", "done"]);
  assert.equal(server.content("s2").toString(), "another file");
});

test("an equal file that came while one waited for its turn is told apart by its hash, as is the one", async () => {
  const { uploader, server, hasher } = page({ files: 1 });
  server.hold();
  uploader.add(fileOf("something else"));
  uploader.add(fileOf(CONTENT, { name: "a.bin" }));
  await settle();
  uploader.add(fileOf(CONTENT, { name: "b.bin" }));
  await settle();
  server.letGo();
  for (let turn = 0; turn < 5; turn += 1) await settle();
  assert.deepEqual(uploader.uploads.map(({ phase }) => phase), ["done", "done", "done"]);
  assert.equal(hasher.passages.length, 1);
  assert.equal(server.chunksSent().length, 4 + 5);
});
