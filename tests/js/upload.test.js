import assert from "node:assert/strict";
import { test } from "node:test";

import { sourceChanged } from "../../static/js/uploads/errors.js";
import { DECEIVED, FakeServer, networkError, refusal, sha256 } from "./helpers/server.js";
import { bytesOf, CONTENT, fileOf, uploading } from "./helpers/uploading.js";
import { settle } from "./helpers/world.js";

const CHANGING = /^(handshake|chunk|complete|cancel)/;

test("a whole file arrives: hashed, agreed on, sent in chunks, completed, verified", async () => {
  const { upload, server, phases } = uploading();
  const status = await upload.start();
  assert.deepEqual(phases, ["waiting", "checking", "waiting", "sending", "verifying", "done"]);
  assert.deepEqual(server.description, {
    filename: "a.bin",
    size: 18,
    sha256: sha256(bytesOf(CONTENT)),
    mime_type: "application/octet-stream",
  });
  assert.equal(server.content("s1").toString(), CONTENT);
  assert.deepEqual([server.log.at(-1), server.count("complete")], ["complete", 1]);
  assert.deepEqual(
    [status.phase, status.total, status.acknowledged, status.sent, status.existed, status.error],
    ["done", 18, 18, 18, false, null],
  );
  assert.equal(status.session.state, "completed");
});

test("content the server has already is not sent again", async () => {
  const server = new FakeServer({ existing: [sha256(bytesOf(CONTENT))] });
  const { upload } = uploading({ server });
  const status = await upload.start();
  assert.deepEqual(server.log, ["handshake"]);
  assert.deepEqual([status.phase, status.existed, status.acknowledged], ["done", true, 18]);
});

test("a file of 0 bytes is done with the handshake", async () => {
  const { upload, server } = uploading({ file: fileOf("") });
  const status = await upload.start();
  assert.equal(status.phase, "done");
  assert.deepEqual(server.log, ["handshake"]);
});

test("the folder a file came from goes with the handshake", async () => {
  const { upload, server } = uploading({ folder: "photos/2026" });
  const status = await upload.start();
  assert.deepEqual([upload.folder, status.folder], ["photos/2026", "photos/2026"]);
  assert.deepEqual([server.description.folder, status.session.folder], ["photos/2026", "photos/2026"]);
});

test("a small file costs three requests: the server is given a moment, then asked once", async () => {
  const { upload, server, clock } = uploading({ file: fileOf("tiny") });
  server.script("chunk", ({ id }) => {
    server.session(id).state = "assembling";
  });
  const outcome = upload.start();
  await clock.advance(59);
  assert.deepEqual([upload.status.phase, server.log], ["verifying", ["handshake", "chunk 0"]]);
  await clock.advance(1);
  assert.equal((await outcome).phase, "done");
  assert.deepEqual(server.log, ["handshake", "chunk 0", "status"]);
});

test("a file that the answer to its last chunk calls completed is not asked for again", async () => {
  const { upload, server } = uploading({ file: fileOf("tiny") });
  server.script("chunk", ({ id }) => {
    server.session(id).state = "completed";
  });
  const status = await upload.start();
  assert.deepEqual([status.phase, status.session.state], ["done", "completed"]);
  assert.deepEqual(server.log, ["handshake", "chunk 0"]);
});

test("the answer to an earlier chunk, come late, does not undo what the last one said", async () => {
  const { upload, server } = uploading({ file: fileOf("firstlast"), parallel: 3 });
  const late = Promise.withResolvers();
  const sendChunk = server.sendChunk.bind(server);
  server.sendChunk = async (session, chunk, ...rest) => {
    const receipt = await sendChunk(session, chunk, ...rest);
    if (chunk.index === 0) await late.promise;
    return chunk.index === 2 ? { ...receipt, state: "completed" } : receipt;
  };
  const outcome = upload.start();
  await settle();
  late.resolve();
  assert.equal((await outcome).phase, "done");
  assert.equal(server.count("complete"), 0);
});

test("the bytes that leave are told as they leave, each once", async () => {
  const told = [];
  const { upload, server } = uploading({ file: fileOf("tiny"), onSent: (bytes) => told.push(bytes) });
  server.script("chunk", ({ onProgress }) => onProgress(3));
  await upload.start();
  assert.deepEqual(told.filter(Boolean), [3, 1]);
});

test("the chunks on their way are named", async () => {
  const { upload, server } = uploading({ parallel: 2 });
  server.hold();
  const outcome = upload.start();
  await settle();
  assert.deepEqual(upload.inFlight, [0, 1]);
  server.letGo();
  await outcome;
  assert.deepEqual(upload.inFlight, []);
});

test("a session begun under another name is finished, and the file gets an entry of its own", async () => {
  const server = new FakeServer();
  server.begin(bytesOf(CONTENT), { filename: "old name.bin", received: [0, 3] });
  const { upload } = uploading({ server, folder: "photos" });
  const { session, existed } = await upload.start();
  assert.deepEqual([session.filename, session.folder, session.id], ["a.bin", "photos", "s2"]);
  assert.equal(existed, false);
  assert.deepEqual(server.chunksSent().sort(), [1, 2, 4]);
  assert.equal(server.session("s1").state, "completed");
});

test("a session that the person chose to continue keeps its name", async () => {
  const server = new FakeServer();
  const offered = server.begin(bytesOf(CONTENT), { filename: "old name.bin", received: [0] });
  const { upload } = uploading({ server, session: offered });
  assert.equal((await upload.start()).session.filename, "old name.bin");
  assert.equal(server.count("handshake"), 0);
});

test("only what is missing is sent when the handshake finds a session", async () => {
  const server = new FakeServer();
  server.begin(bytesOf(CONTENT), { received: [0, 3] });
  const { upload } = uploading({ server });
  await upload.start();
  assert.deepEqual(server.chunksSent().sort(), [1, 2, 4]);
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("three chunks are in flight at once, and the number can change on the way", async () => {
  const { upload, server } = uploading({ file: fileOf("x".repeat(40)) });
  server.hold();
  const outcome = upload.start();
  await settle();
  assert.equal(server.inFlight, 3);
  upload.parallel = 5;
  await settle();
  assert.equal(server.inFlight, 5);
  upload.parallel = 1;
  server.letGo();
  await outcome;
  assert.deepEqual([server.peak, upload.parallel], [5, 1]);
});

test("starting twice runs once", async () => {
  const { upload, server } = uploading();
  await Promise.all([upload.start(), upload.start()]);
  await upload.start();
  assert.equal(server.count("handshake"), 1);
});

// ------------------------------------------------------------------ progress

test("bytes of a chunk under way count as sent, but not as acknowledged", async () => {
  const { upload, server } = uploading({ parallel: 1 });
  server.hold();
  server.script("chunk", ({ onProgress }) => onProgress(3));
  const outcome = upload.start();
  await settle();
  assert.deepEqual([upload.status.acknowledged, upload.status.sent], [0, 3]);
  server.letGo();
  await outcome;
});

test("speed and time left follow the bytes, and speed falls when nothing moves", async () => {
  const { upload, server, clock } = uploading({ file: fileOf("x".repeat(4000)), parallel: 1 });
  server.chunkSize = 1000;
  const steps = [Promise.withResolvers(), Promise.withResolvers()];
  server.script("chunk", ...steps.map(({ promise }) => () => promise), () => new Promise(() => {}));
  upload.start();
  for (const { resolve } of steps) {
    await clock.advance(1000);
    resolve();
    await settle();
  }
  assert.equal(Math.round(upload.status.speed), 1000);
  assert.equal(Math.round(upload.status.timeLeft), 2);
  await clock.advance(20_000);
  assert.ok(upload.status.speed < 100);
  upload.pause();
  assert.deepEqual([upload.status.speed, upload.status.timeLeft], [0, null]);
});

// ------------------------------------------------------------------- retries

test("a chunk that meets a passing failure is sent again, alone", async () => {
  const { upload, server, clock } = uploading({ parallel: 1 });
  server.script("chunk", null, refusal(503), networkError(), refusal(422, "digest_mismatch"));
  const outcome = upload.start();
  await clock.advance(60_000);
  assert.equal((await outcome).phase, "done");
  assert.deepEqual(server.chunksSent(), [0, 1, 1, 1, 1, 2, 3, 4]);
});

test("retrying shows when nothing else moves, with its moment and its reason", async () => {
  const { upload, server, clock } = uploading({ parallel: 1 });
  server.script("chunk", refusal(503, "unavailable", { retryAfter: 9 }));
  const outcome = upload.start();
  await settle();
  const { phase, retryAt, error } = upload.status;
  assert.deepEqual([phase, error.code], ["retrying", "unavailable"]);
  assert.ok(retryAt - clock.now() >= 9000);
  await clock.advance(8999);
  assert.deepEqual(server.chunksSent(), [0]);
  await clock.advance(1000);
  const after = await outcome;
  assert.deepEqual([after.phase, after.retryAt, after.error], ["done", null, null]);
});

test("too many requests at once are waited out as long as asked, and cost no tries", async () => {
  const { upload, server, clock } = uploading({ parallel: 1 });
  const patience = () => refusal(429, "too_many_requests", { retryAfter: 7 });
  server.script("handshake", ...Array.from({ length: 30 }, patience));
  server.script("chunk", ...Array.from({ length: 30 }, patience));
  const outcome = upload.start();
  await settle();
  assert.deepEqual([upload.status.phase, server.count("handshake")], ["retrying", 1]);
  await clock.advance(6999);
  assert.equal(server.count("handshake"), 1);
  await clock.advance(5 * 3_600_000);
  assert.equal((await outcome).phase, "done");
  assert.equal(server.count("handshake"), 31);
  assert.deepEqual(server.chunksSent(), [...Array.from({ length: 30 }, () => 0), 0, 1, 2, 3, 4]);
});

test("one chunk that waits does not hide that others are being sent", async () => {
  const { upload, server } = uploading({ parallel: 2 });
  server.script("chunk", refusal(503), () => new Promise(() => {}));
  upload.start();
  await settle();
  assert.equal(upload.status.phase, "sending");
  upload.pause();
});

test("retries are counted anew whenever any chunk arrives", async () => {
  const { upload, server, clock } = uploading({ parallel: 2 });
  const failures = (count) => Array.from({ length: count }, () => networkError());
  // Chunk 0 hangs on while chunk 1 fails ten times; then 0 arrives, and 1 fails ten more.
  const first = Promise.withResolvers();
  const answer = server.sendChunk.bind(server);
  const script = [...failures(10), () => first.resolve(), ...failures(10)];
  server.sendChunk = async (session, chunk, body, options) => {
    if (chunk.index === 0) await first.promise;
    const step = chunk.index === 1 ? script.shift() : null;
    if (step instanceof Error) throw step;
    step?.();
    if (step) throw networkError();
    return answer(session, chunk, body, options);
  };
  const outcome = upload.start();
  await clock.advance(3_600_000);
  assert.equal((await outcome).phase, "done");
});

test("without any progress it gives up, says why, and can be resumed", async () => {
  const { upload, server, clock } = uploading({ parallel: 1 });
  server.script("chunk", null, ...Array.from({ length: 12 }, () => networkError()));
  const outcome = upload.start();
  await clock.advance(3_600_000);
  const status = await outcome;
  assert.deepEqual([status.phase, status.error.code], ["failed", "network"]);
  assert.equal(status.acknowledged, 4);
  assert.equal((await upload.resume()).phase, "done");
  assert.equal(server.chunksSent().filter((index) => index === 0).length, 1);
});

const full = () => refusal(507, "storage_full", { retryAfter: 60 });

/** A server that refuses every chunk for want of room until it is given some. */
function withoutRoom() {
  const server = new FakeServer();
  const answer = server.sendChunk.bind(server);
  const disk = { room: 0 };
  server.sendChunk = async (session, chunk, body, options) => {
    if (disk.room > 0) {
      disk.room -= 1;
      return answer(session, chunk, body, options);
    }
    server.log.push("refused");
    throw full();
  };
  return { server, disk };
}

test("a full disk is waited for, through a night if need be, and then all is sent", async () => {
  const { server, disk } = withoutRoom();
  disk.room = 2;
  const { upload, clock } = uploading({ server });
  const outcome = upload.start();
  await clock.advance(12 * 3_600_000);
  const { phase, error, acknowledged, retryAt } = upload.status;
  assert.deepEqual([phase, error.code, acknowledged], ["retrying", "storage_full", 8]);
  assert.ok(retryAt > clock.now());
  disk.room = Infinity;
  await clock.advance(300_000);
  assert.equal((await outcome).phase, "done");
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("of a full disk one chunk asks for all, and no body is sent in vain beside it", async () => {
  const { server, disk } = withoutRoom();
  let seed = 1;
  const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
  const { upload, clock } = uploading({ server, random });
  const outcome = upload.start();
  await settle();
  assert.equal(server.count("refused"), 3);
  await clock.advance(3_600_000);
  const bodies = server.count("refused") - 3;
  assert.ok(bodies >= 18 && bodies <= 22, `${bodies} bodies in an hour`);
  assert.equal(upload.status.phase, "retrying");
  disk.room = Infinity;
  await clock.advance(300_000);
  assert.equal((await outcome).phase, "done");
});

test("the chunk that asks for all may be lost on the way, and the others still come through", async () => {
  const { server, disk } = withoutRoom();
  const { upload, clock, connectivity } = uploading({ server });
  const outcome = upload.start();
  await settle();
  const refusing = server.sendChunk;
  server.sendChunk = async () => {
    throw networkError();
  };
  await clock.advance(120_000);
  connectivity.goOffline();
  await clock.advance(3_600_000);
  disk.room = Infinity;
  server.sendChunk = refusing;
  connectivity.goOnline();
  await clock.advance(300_000);
  assert.equal((await outcome).phase, "done");
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("who does not want to wait for the next try resumes, and it is made at once", async () => {
  const { server, disk } = withoutRoom();
  const { upload, clock } = uploading({ server });
  const outcome = upload.start();
  await settle();
  disk.room = Infinity;
  const resumed = upload.resume();
  assert.deepEqual([(await outcome).phase, (await resumed).phase], ["done", "done"]);
  assert.equal(clock.pending, 0);
});

test("all chunks that wait for room are tried by one body when the person resumes", async () => {
  const { server } = withoutRoom();
  const { upload } = uploading({ server });
  upload.start();
  await settle();
  upload.resume();
  await settle();
  assert.equal(server.count("refused"), 4);
  assert.equal(upload.status.phase, "retrying");
  upload.pause();
});

test("paused while it waits for room, it stays paused", async () => {
  const { server, disk } = withoutRoom();
  const { upload, clock } = uploading({ server });
  upload.start();
  await settle();
  upload.pause();
  const refused = server.count("refused");
  await clock.advance(3_600_000);
  assert.deepEqual([upload.status.phase, server.count("refused")], ["paused", refused]);
  disk.room = Infinity;
  assert.equal((await upload.resume()).phase, "done");
});

test("cancelled while it waits for room, even if the server is too busy to be told", async () => {
  const { server } = withoutRoom();
  const { upload, clock } = uploading({ server });
  upload.start();
  await settle();
  server.script("cancel", ...Array.from({ length: 99 }, full));
  const cancelled = upload.cancel();
  await clock.advance(3_600_000);
  const { phase, error } = await cancelled;
  assert.deepEqual([phase, error.code], ["cancelled", "storage_full"]);
});

test("a handshake is retried as well", async () => {
  const { upload, server, clock } = uploading();
  server.script("handshake", networkError(), refusal(503));
  const outcome = upload.start();
  await settle();
  assert.equal(upload.status.phase, "retrying");
  await clock.advance(10_000);
  assert.equal((await outcome).phase, "done");
});

test("a final refusal ends the upload and aborts the other chunks", async () => {
  const { upload, server } = uploading();
  server.hold();
  server.script("chunk", null, refusal(413, "too_large"));
  const status = await upload.start();
  assert.deepEqual([status.phase, status.error.code], ["failed", "too_large"]);
  assert.deepEqual([server.inFlight, server.aborted], [0, 2]);
});

test("signed out: failed with a way on, and after signing in nothing is sent twice", async () => {
  const { upload, server } = uploading({ parallel: 1 });
  server.script("chunk", null, refusal(401, "signed_out"));
  assert.equal((await upload.start()).error.code, "signed_out");
  assert.equal((await upload.resume()).phase, "done");
  assert.deepEqual(server.chunksSent(), [0, 1, 1, 2, 3, 4]);
});

// ------------------------------------------------------------------- offline

test("offline: what is in flight is dropped, and sent when the network is back", async () => {
  const { upload, server, connectivity } = uploading();
  server.hold();
  const outcome = upload.start();
  await settle();
  connectivity.goOffline();
  await settle();
  const { phase, retryAt, speed, timeLeft } = upload.status;
  assert.deepEqual([phase, retryAt, speed, timeLeft], ["offline", null, 0, null]);
  assert.deepEqual([server.inFlight, server.aborted], [0, 3]);
  server.letGo();
  connectivity.goOnline();
  assert.equal((await outcome).phase, "done");
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("a long time offline costs no retries", async () => {
  const { upload, server, clock, connectivity } = uploading({ parallel: 1 });
  const answer = server.sendChunk.bind(server);
  server.sendChunk = async (...call) => {
    if (!connectivity.online) throw networkError();
    return answer(...call);
  };
  connectivity.goOffline();
  const outcome = upload.start();
  await clock.advance(24 * 3_600_000);
  assert.equal(upload.status.phase, "offline");
  connectivity.goOnline();
  assert.equal((await outcome).phase, "done");
});

// ------------------------------------------------------- pause, resume, cancel

test("pause aborts what is in flight; resume asks first and sends only the rest", async () => {
  const { upload, server } = uploading({ parallel: 2 });
  server.script("chunk", null, null, () => new Promise(() => {}), () => new Promise(() => {}));
  const outcome = upload.start();
  await settle();
  upload.pause();
  assert.equal(upload.status.phase, "paused");
  assert.equal((await outcome).phase, "paused");
  assert.deepEqual([server.inFlight, server.aborted], [0, 2]);
  assert.equal(upload.status.acknowledged, 8);
  // Meanwhile another chunk turns out to have arrived after all.
  server.session("s1").chunks.set(2, bytesOf("cccc"));
  const before = server.log.length;
  assert.equal((await upload.resume()).phase, "done");
  assert.deepEqual(server.log.slice(before, before + 3), ["ask", "chunk 3", "chunk 4"]);
  assert.equal(server.count("handshake"), 1);
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("a file hashed once is not hashed again on resume", async () => {
  const { upload, server, hasher } = uploading();
  server.hold();
  upload.start();
  await settle();
  upload.pause();
  server.letGo();
  await upload.resume();
  assert.equal(hasher.files, 1);
});

test("pause and resume in one breath leave one run", async () => {
  const { upload, server } = uploading();
  server.hold();
  upload.start();
  await settle();
  upload.pause();
  const outcome = upload.resume();
  upload.pause();
  const again = upload.resume();
  server.letGo();
  assert.deepEqual([(await outcome).phase, (await again).phase], ["done", "done"]);
  assert.equal(server.peak, 3);
});

/** Makes aborted chunks let go only a while later, as real connections do. */
function reluctant(server) {
  const sendChunk = server.sendChunk.bind(server);
  const letting = { go: 0 };
  server.sendChunk = async (...call) => {
    letting.go += 1;
    try {
      return await sendChunk(...call);
    } finally {
      await settle();
      letting.go -= 1;
    }
  };
  return letting;
}

test("a run begins only when the one before it has let go of everything", async () => {
  const { upload, server } = uploading();
  const letting = reluctant(server);
  const ask = server.ask.bind(server);
  let overlapping = null;
  server.ask = (session) => {
    overlapping ??= letting.go;
    return ask(session);
  };
  server.hold();
  upload.start();
  await settle();
  upload.pause();
  server.letGo();
  assert.equal((await upload.resume()).phase, "done");
  assert.equal(overlapping, 0);
});

test("an upload has failed only when none of its chunks is on its way any more", async () => {
  const { upload, server } = uploading();
  const letting = reluctant(server);
  server.hold();
  server.script("chunk", null, refusal(413, "too_large"));
  assert.equal((await upload.start()).phase, "failed");
  assert.equal(letting.go, 0);
});

test("progress of a hash that comes in after pause does not wake the upload", async () => {
  const { upload, hasher } = uploading();
  let progress;
  hasher.hashFile = (_, { signal, onProgress }) =>
    new Promise((__, reject) => {
      progress = onProgress;
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  upload.start();
  await settle();
  upload.pause();
  progress(7);
  assert.equal(upload.status.phase, "paused");
});

test("pause during hashing stops it; resume hashes and goes on", async () => {
  const { upload, hasher } = uploading();
  const hashFile = hasher.hashFile.bind(hasher);
  hasher.hashFile = (_, { signal, onProgress }) =>
    new Promise((__, reject) => {
      onProgress(0);
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const outcome = upload.start();
  await settle();
  assert.equal(upload.status.phase, "checking");
  upload.pause();
  assert.equal((await outcome).phase, "paused");
  hasher.hashFile = hashFile;
  assert.equal((await upload.resume()).phase, "done");
});

test("a session gone during a long pause is begun anew, once", async () => {
  for (const gone of [refusal(404, "session_not_found"), refusal(410, "session_expired")]) {
    const { upload, server } = uploading({ parallel: 1 });
    server.script("chunk", null, () => new Promise(() => {}));
    upload.start();
    await settle();
    upload.pause();
    server.session("s1").state = "expired";
    server.script("ask", gone);
    assert.equal((await upload.resume()).phase, "done");
    assert.equal(server.count("handshake"), 2);
    assert.equal(server.content("s2").toString(), CONTENT);
  }
});

test("a server that drops every session is not sent the file for ever", async () => {
  const { upload, server } = uploading();
  const gone = () => refusal(404, "session_not_found");
  server.script("chunk", ...Array.from({ length: 20 }, gone));
  server.script("ask", ...Array.from({ length: 20 }, gone));
  const status = await upload.start();
  assert.deepEqual([status.phase, status.error.code], ["failed", "session_gone"]);
  assert.equal(server.count("handshake"), 2);
});

test("cancel aborts what is in flight and drops the session", async () => {
  const { upload, server } = uploading();
  server.hold();
  const outcome = upload.start();
  await settle();
  const cancelled = upload.cancel();
  assert.equal(upload.status.phase, "cancelled");
  assert.equal((await cancelled).phase, "cancelled");
  assert.equal((await outcome).phase, "cancelled");
  assert.deepEqual([server.inFlight, server.aborted], [0, 3]);
  assert.equal(server.session("s1").state, "cancelled");
});

test("cancel while the handshake is under way drops the session that it opens", async () => {
  const { upload, server } = uploading();
  const slow = Promise.withResolvers();
  server.script("handshake", () => slow.promise);
  upload.start();
  await settle();
  const cancelled = upload.cancel();
  slow.resolve();
  assert.equal((await cancelled).phase, "cancelled");
  assert.equal(server.session("s1").state, "cancelled");
  assert.deepEqual(server.chunksSent(), []);
});

test("cancel never deletes content that was there before", async () => {
  const server = new FakeServer({ existing: [sha256(bytesOf(CONTENT))] });
  const { upload } = uploading({ server });
  const slow = Promise.withResolvers();
  server.script("handshake", () => slow.promise);
  upload.start();
  await settle();
  const cancelled = upload.cancel();
  slow.resolve();
  assert.equal((await cancelled).phase, "done");
  await upload.cancel();
  assert.equal(server.count("cancel"), 0);
});

test("an upload cancelled elsewhere ends as cancelled and is not begun anew", async () => {
  const { upload, server } = uploading({ parallel: 1 });
  const gone = refusal(410, "session_cancelled");
  server.script("chunk", null, gone);
  server.script("ask", gone);
  assert.equal((await upload.start()).phase, "cancelled");
  assert.equal(server.count("handshake"), 1);
});

test("cancelling a paused upload that was completed elsewhere deletes nothing", async () => {
  const { upload, server } = uploading({ parallel: 1 });
  server.script("chunk", null, () => new Promise(() => {}));
  upload.start();
  await settle();
  upload.pause();
  await settle();
  server.session("s1").state = "completed";
  const status = await upload.cancel();
  assert.deepEqual([status.phase, status.acknowledged], ["done", 18]);
  assert.equal(server.count("cancel"), 0);
});

test("cancelling a paused upload drops its session, even one that cannot be looked at", async () => {
  for (const answer of [null, refusal(500)]) {
    const { upload, server } = uploading({ parallel: 1 });
    server.script("chunk", null, () => new Promise(() => {}));
    server.script("status", answer);
    upload.start();
    await settle();
    upload.pause();
    assert.equal((await upload.cancel()).phase, "cancelled");
    assert.equal(server.session("s1").state, "cancelled");
    assert.equal(server.count("cancel"), 1);
  }
});

test("a cancel the server never hears of says so", async () => {
  const { upload, server, clock } = uploading();
  server.hold();
  upload.start();
  await settle();
  server.script("cancel", ...Array.from({ length: 9 }, () => networkError()));
  const cancelled = upload.cancel();
  await clock.advance(60_000);
  const status = await cancelled;
  assert.deepEqual([status.phase, status.error.code], ["cancelled", "network"]);
});

// ----------------------------------------------------- resuming from the list

test("the right file continues its session: asked, then only the missing chunks", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf(CONTENT), { received: [0] });
  const { upload } = uploading({ server, session });
  assert.equal((await upload.start()).phase, "done");
  assert.equal(server.log[0], "ask");
  assert.equal(server.count("handshake"), 0);
  assert.deepEqual(server.chunksSent(), [1, 2, 3, 4]);
});

test("a file of another size is refused before it is even hashed", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf(CONTENT));
  const { upload, hasher } = uploading({ server, session, file: fileOf("short") });
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code, hasher.files], ["failed", "wrong_file", 0]);
  assert.match(error.message, /expects 18 bytes.*“a\.bin” has 5/);
  assert.deepEqual(error.values, {
    reason: "size",
    filename: "a.bin",
    size: 5,
    expected: "a.bin",
    expectedSize: 18,
  });
  assert.deepEqual(server.log, []);
});

test("a file of other content is refused without a request that changes anything", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf(CONTENT), { received: [0] });
  const other = fileOf("AAAAbbbbccccddddee");
  const { upload } = uploading({ server, session, file: other });
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code], ["failed", "wrong_file"]);
  assert.match(error.message, /same name but other content/);
  await upload.cancel();
  assert.deepEqual(server.log.filter((entry) => CHANGING.test(entry)), []);
  assert.equal(server.session("s1").state, "active");
});

test("the server's own word on the hash counts, should the page's be out of date", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf("AAAAbbbbccccddddee"), { filename: "b.bin" });
  const { upload } = uploading({ server, session: { ...session, sha256: null } });
  const { error } = await upload.start();
  assert.equal(error.code, "wrong_file");
  assert.match(error.message, /“a\.bin” has other content than “b\.bin”/);
  const { reason, filename, expected } = error.values;
  assert.deepEqual([reason, filename, expected], ["content", "a.bin", "b.bin"]);
  assert.deepEqual(server.log, ["ask"]);
});

test("without a declared hash, chunks that are in already prove the file to be the right one", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf(CONTENT), { received: [1, 2, 3], sha: null });
  const { upload } = uploading({ server, session });
  const status = await upload.start();
  assert.equal(status.phase, "done");
  assert.deepEqual(server.log.slice(0, 2), ["ask", "check"]);
  assert.deepEqual(server.chunksSent().sort(), [0, 4]);
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("without a declared hash, a file that changed at either end is refused, not spliced", async () => {
  for (const changed of ["AAAAbbbbccccddddee", "aaaabbbbccccdddDee"]) {
    const server = new FakeServer();
    const session = server.begin(bytesOf(CONTENT), { received: [0, 3], sha: null });
    const { upload } = uploading({ server, session, file: fileOf(changed) });
    const { phase, error } = await upload.start();
    assert.deepEqual([phase, error.code], ["failed", "wrong_file"]);
    assert.match(error.message, /same name but other content/);
    await upload.cancel();
    assert.equal(server.content("s1").toString(), "aaaadddd");
    assert.deepEqual(server.log.filter((entry) => /^(handshake|complete|cancel)/.test(entry)), []);
  }
});

test("without a declared hash and without any chunk there is nothing to compare", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf(CONTENT), { sha: null });
  const { upload } = uploading({ server, session });
  assert.equal((await upload.start()).phase, "done");
  assert.deepEqual(server.chunksSent().sort(), [0, 1, 2, 3, 4]);
});

test("a change that the comparison missed fails as a whole, and is then sent anew", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf(CONTENT), { received: [0, 1, 2], sha: null });
  // Of those that are in it names the first and the last.
  const changed = "aaaaBBBBccccddddee";
  const { upload } = uploading({ server, session, file: fileOf(changed) });
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code], ["failed", "verification_failed"]);
  assert.equal(error.message, `${DECEIVED} Try again to send it anew.`);
  assert.deepEqual(error.values, { error: DECEIVED });
  assert.equal((await upload.resume()).phase, "done");
  assert.equal(server.content("s2").toString(), changed);
});

test("what a validator of the site refuses fails in its words", async () => {
  const server = new FakeServer();
  server.refuses = "This is no PDF.";
  const { upload } = uploading({ server });
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code, error.message], ["failed", "content_refused", "This is no PDF."]);
});

test("a failing line while comparing is waited out", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf(CONTENT), { received: [0], sha: null });
  server.script("check", networkError(), refusal(503));
  const { upload, clock } = uploading({ server, session });
  const outcome = upload.start();
  await clock.advance(60_000);
  assert.equal((await outcome).phase, "done");
});

test("a stream of unknown size goes on: compared, its size declared, then only what is missing", async () => {
  const server = new FakeServer();
  const session = server.stream(bytesOf(CONTENT), 10);
  assert.deepEqual([session.size, session.offset, session.missing], [null, 10, null]);
  const { upload } = uploading({ server, session });
  assert.equal((await upload.start()).phase, "done");
  assert.deepEqual(server.log.slice(0, 4), ["ask", "check", "size 18", "chunk 2"]);
  assert.deepEqual(server.chunksSent(), [2, 3, 4]);
  assert.equal(server.count("handshake"), 0);
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("a stream that had come whole needs nothing but its size", async () => {
  const whole = CONTENT.slice(0, 16);
  const server = new FakeServer();
  const session = server.stream(bytesOf(whole), 16);
  const { upload } = uploading({ server, session, file: fileOf(whole) });
  assert.equal((await upload.start()).phase, "done");
  assert.deepEqual(server.log, ["ask", "check", "size 16", "complete"]);
});

test("of a stream without a whole chunk there is nothing to compare", async () => {
  const server = new FakeServer();
  const session = server.stream(bytesOf(CONTENT), 3);
  const { upload } = uploading({ server, session });
  assert.equal((await upload.start()).phase, "done");
  assert.deepEqual(server.log.slice(0, 2), ["ask", "size 18"]);
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("the wrong file does not declare its own size for that of a stream", async () => {
  for (const changed of ["AAAAbbbbccccddddee", "aaaabbbBccccddddeeffff"]) {
    const server = new FakeServer();
    const session = server.stream(bytesOf(CONTENT), 10);
    const { upload } = uploading({ server, session, file: fileOf(changed) });
    const { phase, error } = await upload.start();
    assert.deepEqual([phase, error.code, error.values.reason], ["failed", "wrong_file", "content"]);
    assert.deepEqual(server.info("s1"), session);
    assert.deepEqual(server.log.filter((entry) => !/^(ask|check)/.test(entry)), []);
  }
});

test("a file shorter than what a stream has brought is refused before it is even hashed", async () => {
  const server = new FakeServer();
  const session = server.stream(bytesOf(CONTENT), 10, { filename: "b.bin" });
  const { upload, hasher } = uploading({ server, session, file: fileOf("aaaab") });
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code, hasher.files], ["failed", "wrong_file", 0]);
  assert.match(error.message, /10 bytes of “b\.bin” are here already, “a\.bin” has only 5/);
  assert.deepEqual(error.values, {
    reason: "shorter",
    filename: "a.bin",
    size: 5,
    expected: "b.bin",
    expectedSize: 10,
  });
  assert.deepEqual(server.log, []);
});

test("what a stream has brought since the page was drawn counts", async () => {
  const server = new FakeServer();
  const { offset, ...session } = server.stream(bytesOf(CONTENT), 10);
  assert.equal(offset, 10);
  const { upload } = uploading({ server, session, file: fileOf("aaaab") });
  assert.equal((await upload.start()).error.values.reason, "shorter");
  assert.deepEqual(server.log, ["ask"]);
});

test("a failing line while a size is declared is waited out", async () => {
  const server = new FakeServer();
  const session = server.stream(bytesOf(CONTENT), 10);
  server.script("declareSize", networkError(), refusal(503));
  const { upload, clock } = uploading({ server, session });
  const outcome = upload.start();
  await clock.advance(60_000);
  assert.equal((await outcome).phase, "done");
});

test("a stream that has failed is sent anew", async () => {
  const server = new FakeServer();
  const session = server.stream(bytesOf(CONTENT), 10);
  server.session("s1").state = "failed";
  const { upload } = uploading({ server, session });
  assert.equal((await upload.start()).error.code, "verification_failed");
  assert.equal((await upload.resume()).phase, "done");
  assert.equal(server.content("s2").toString(), CONTENT);
  assert.equal(server.session("s1").size, null);
});

test("a session to resume that has expired meanwhile is begun anew", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf(CONTENT), { received: [0] });
  server.session("s1").state = "expired";
  const { upload } = uploading({ server, session });
  assert.equal((await upload.start()).phase, "done");
  assert.equal(server.content("s2").toString(), CONTENT);
});

test("cancel during the check leaves the session that was only offered", async () => {
  const server = new FakeServer();
  const session = server.begin(bytesOf(CONTENT), { received: [0] });
  const { upload } = uploading({ server, session });
  upload.start();
  await upload.cancel();
  assert.equal(server.session("s1").state, "active");
});

// ------------------------------------------------------------ a changed source

test("a file whose date or size changes is not sent any further", async () => {
  for (const change of [{ lastModified: 2000 }, { size: 17 }]) {
    const file = fileOf(CONTENT);
    const { upload, server } = uploading({ file, parallel: 1 });
    server.script("chunk", null, () => {
      for (const [name, value] of Object.entries(change)) Object.defineProperty(file, name, { value });
    });
    const { phase, error } = await upload.start();
    assert.deepEqual([phase, error.code], ["failed", "source_changed"]);
    assert.deepEqual(server.chunksSent(), [0, 1]);
  }
});

test("a chunk that reads differently the second time is not spliced in", async () => {
  const { upload, server, hasher, clock } = uploading({ parallel: 1 });
  const digests = ["first", "second"];
  hasher.digest = async () => digests.shift();
  server.script("chunk", networkError());
  const outcome = upload.start();
  await clock.advance(10_000);
  assert.equal((await outcome).error.code, "source_changed");
  assert.deepEqual(server.chunksSent(), [0]);
});

test("the digest of an only chunk is the file's own, not computed a second time", async () => {
  const { upload, server, hasher } = uploading({ file: fileOf("tiny") });
  hasher.digest = async () => assert.fail("hashed again");
  assert.equal((await upload.start()).phase, "done");
  assert.equal(server.content("s1").toString(), "tiny");
});

test("an only chunk that did not arrive is read again, so that a change comes to light", async () => {
  const { upload, server, hasher, clock } = uploading({ file: fileOf("tiny") });
  server.script("chunk", () => {
    hasher.hashFile = async () => "another";
    throw networkError();
  });
  const outcome = upload.start();
  await clock.advance(1000);
  assert.equal((await outcome).error.code, "source_changed");
  assert.deepEqual(server.chunksSent(), [0]);
});

test("a file that changed while it was hashed is found out before a session is opened for it", async () => {
  const file = fileOf(CONTENT);
  const { upload, server, hasher } = uploading({ file });
  const hashFile = hasher.hashFile.bind(hasher);
  hasher.hashFile = async (...call) => {
    const digest = await hashFile(...call);
    // As Chromium has it: size and date stay as they were, but nothing can be read.
    file.slice = () => ({ arrayBuffer: async () => Promise.reject(new Error("NotReadableError")) });
    return digest;
  };
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code], ["failed", "source_changed"]);
  assert.deepEqual(server.log, []);
});

test("a file that can no longer be read stops the upload in plain words", async () => {
  const { upload, hasher } = uploading();
  hasher.digest = async () => {
    throw sourceChanged();
  };
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code], ["failed", "source_changed"]);
  assert.match(error.message, /changed, moved or deleted.*Nothing was damaged.*Choose the file again/);
});

// ------------------------------------------------------- the server's verdict

test("a session that verifies for long is looked at calmly until it is through", async () => {
  const { upload, server, clock } = uploading({ server: new FakeServer({ looks: 20 }) });
  const outcome = upload.start();
  await settle();
  assert.equal(upload.status.phase, "verifying");
  await clock.advance(60);
  assert.equal(server.count("status"), 1);
  await clock.advance(30_000);
  const looks = server.count("status");
  assert.ok(looks >= 10 && looks <= 16, `${looks} looks in 30 s`);
  await clock.advance(120_000);
  assert.equal((await outcome).phase, "done");
});

test("chunks the server finds damaged are sent again, and only those", async () => {
  const { upload, server } = uploading();
  server.script("complete", ({ id }) => {
    const session = server.session(id);
    session.state = "active";
    session.chunks.delete(1);
    session.chunks.delete(4);
    return server.info(id);
  });
  const status = await upload.start();
  assert.equal(status.phase, "done");
  assert.deepEqual(server.chunksSent().slice(5).sort(), [1, 4]);
  assert.equal(server.content("s1").toString(), CONTENT);
});

test("a disk that damages every repair is given up on", async () => {
  const { upload, server } = uploading();
  const damage = ({ id }) => {
    server.session(id).chunks.delete(0);
    return server.info(id);
  };
  server.script("complete", ...Array.from({ length: 50 }, () => damage));
  const status = await upload.start();
  assert.deepEqual([status.phase, status.error.code], ["failed", "not_finishing"]);
  assert.deepEqual(status.error.values, { repairs: 6 });
  assert.equal(server.chunksSent().filter((index) => index === 0).length, 6);
});

test("complete refused for missing chunks: asked what is missing, sent, completed", async () => {
  const { upload, server } = uploading();
  server.script("complete", () => {
    server.session("s1").chunks.delete(2);
  });
  assert.equal((await upload.start()).phase, "done");
  assert.deepEqual(server.chunksSent().slice(5), [2]);
});

test("a verdict against the file fails, and resuming hashes and sends it anew", async () => {
  const { upload, server, hasher } = uploading();
  server.script("complete", ({ id }) => {
    server.session(id).state = "failed";
  });
  const status = await upload.start();
  assert.deepEqual([status.phase, status.error.code], ["failed", "verification_failed"]);
  assert.equal((await upload.resume()).phase, "done");
  assert.equal(hasher.files, 2);
  assert.equal(server.content("s2").toString(), CONTENT);
});

test("a chunk refused for the session's state: the server is asked, not defied", async () => {
  const { upload, server, clock } = uploading({ parallel: 1 });
  server.script("chunk", null, ({ id }) => {
    const session = server.session(id);
    for (const [index, text] of ["bbbb", "cccc", "dddd", "ee"].entries()) {
      session.chunks.set(index + 1, bytesOf(text));
    }
    session.state = "assembling";
    throw refusal(409, "wrong_state");
  });
  const outcome = upload.start();
  await clock.advance(60);
  assert.equal((await outcome).phase, "done");
  assert.deepEqual(server.chunksSent(), [0, 1]);
});

test("a conflict that asking does not settle fails with the server's reason", async () => {
  const { upload, server } = uploading({ parallel: 1 });
  server.script("chunk", ...Array.from({ length: 20 }, () => refusal(409, "chunk_conflict")));
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code], ["failed", "chunk_conflict"]);
  assert.ok(server.count("ask") <= 3);
});

test("a defect in this module fails visibly instead of hanging", async () => {
  const { upload, server } = uploading();
  const defect = new TypeError("undefined is not a function");
  server.script("handshake", defect);
  const { phase, error } = await upload.start();
  assert.deepEqual([phase, error.code, error.cause], ["failed", "internal", defect]);
});
