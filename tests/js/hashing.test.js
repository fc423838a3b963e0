import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Worker as Thread } from "node:worker_threads";

import { WorkerHasher } from "../../static/js/uploads/hashing.js";
import { FakeClock, settle } from "./helpers/world.js";

/** A worker that answers what the test makes it answer. */
class FakeWorker {
  requests = [];
  terminated = false;
  #listeners = {};

  addEventListener(type, listener) {
    this.#listeners[type] = listener;
  }

  postMessage(message) {
    this.requests.push(message);
  }

  terminate() {
    this.terminated = true;
  }

  reply(data) {
    this.#listeners.message({ data });
  }

  die() {
    this.#listeners.error(new Event("error"));
  }
}

function staffed(clock = new FakeClock()) {
  const workers = [];
  const urls = [];
  const createWorker = (url) => {
    urls.push(url);
    workers.push(new FakeWorker());
    return workers.at(-1);
  };
  return { hasher: new WorkerHasher({ workerUrl: "/w.js", createWorker, clock }), workers, urls };
}

test("workers start when needed, from the address the page gave, and not before", async () => {
  const { hasher, workers, urls } = staffed();
  assert.equal(workers.length, 0);
  hasher.hashFile(new Blob(["a"]));
  await settle();
  assert.deepEqual(urls, ["/w.js"]);
});

/** Larger than a chunk; no worker of these tests reads it. */
const LARGE = { size: 5 * 2 ** 20 + 1 };

test("a chunk's digest does not wait behind a large file", async () => {
  const { hasher, workers } = staffed();
  hasher.hashFile(LARGE);
  const digest = hasher.digest(new Blob(["chunk"]));
  await settle();
  const [{ id, type }] = workers[1].requests;
  assert.equal(type, "digest");
  workers[1].reply({ type: "done", id, digest: "q83v" });
  assert.equal(await digest, "q83v");
});

test("a small file does not wait behind a large one either", async () => {
  const { hasher, workers } = staffed();
  hasher.hashFile(LARGE);
  const small = hasher.hashFile(new Blob([new Uint8Array(5 * 2 ** 20)]));
  await settle();
  const [{ id, type }] = workers[1].requests;
  assert.equal(type, "hash");
  workers[1].reply({ type: "done", id, digest: "ab" });
  assert.equal(await small, "ab");
});

test("hundreds of small files keep a chunk's digest waiting no longer than one of them", async () => {
  const { hasher, workers } = staffed();
  for (let file = 0; file < 300; file += 1) hasher.hashFile(new Blob(["small"]));
  await settle();
  const digest = hasher.digest(new Blob(["chunk"]));
  const [worker] = workers;
  worker.reply({ type: "done", id: 1, digest: "ab" });
  await settle();
  assert.equal(worker.requests.at(-1).type, "digest");
  worker.reply({ type: "done", id: 2, digest: "q83v" });
  assert.equal(await digest, "q83v");
});

test("a small file that waits to be hashed is let go when its upload is paused", async () => {
  const { hasher, workers } = staffed();
  const stop = new AbortController();
  hasher.hashFile(new Blob(["a"]));
  const second = hasher.hashFile(new Blob(["b"]), { signal: stop.signal });
  await settle();
  stop.abort(new Error("paused"));
  await assert.rejects(second, /paused/);
  workers[0].reply({ type: "done", id: 1, digest: "ab" });
  await settle();
  assert.equal(workers[0].requests.length, 1);
});

test("files are hashed one after another, and 0 is told when a file's turn comes", async () => {
  const { hasher, workers } = staffed();
  const heard = [];
  const first = hasher.hashFile(new Blob(["a"]), { onProgress: (n) => heard.push(["a", n]) });
  hasher.hashFile(new Blob(["b"]), { onProgress: (n) => heard.push(["b", n]) });
  await settle();
  const [worker] = workers;
  assert.equal(worker.requests.length, 1);
  worker.reply({ type: "progress", id: 1, bytes: 1 });
  worker.reply({ type: "done", id: 1, digest: "aa" });
  assert.equal(await first, "aa");
  await settle();
  assert.deepEqual(heard, [["a", 0], ["a", 1], ["b", 0]]);
  assert.equal(worker.requests.length, 2);
});

test("abort tells the worker, and the next file waits until it has let go", async () => {
  const { hasher, workers } = staffed();
  const stop = new AbortController();
  const first = hasher.hashFile(new Blob(["a"]), { signal: stop.signal });
  hasher.hashFile(new Blob(["b"])).catch(() => {});
  await settle();
  stop.abort(new Error("paused"));
  const [worker] = workers;
  assert.deepEqual(worker.requests.at(-1), { type: "cancel", id: 1 });
  await settle();
  assert.equal(worker.requests.length, 2);
  worker.reply({ type: "cancelled", id: 1 });
  await assert.rejects(first, /paused/);
  await settle();
  assert.equal(worker.requests.at(-1).type, "hash");
});

test("a file that vanished is told apart from a worker that failed", async () => {
  const { hasher, workers } = staffed();
  const outcomes = [hasher.hashFile(new Blob(["a"])), hasher.hashFile(new Blob(["b"]))];
  outcomes[1].catch(() => {});
  await settle();
  workers[0].reply({ type: "error", id: 1, name: "NotReadableError", message: "gone" });
  await assert.rejects(outcomes[0], { code: "source_changed" });
  await settle();
  workers[0].reply({ type: "error", id: 2, name: "CompileError", message: "no wasm" });
  await assert.rejects(outcomes[1], (error) => {
    assert.equal(error.code, "hashing_failed");
    assert.match(error.cause.message, /no wasm/);
    return true;
  });
});

test("a worker that dies fails its job clearly, and the next job gets a new one", async () => {
  const { hasher, workers } = staffed();
  const first = hasher.hashFile(new Blob(["a"]));
  await settle();
  workers[0].die();
  await assert.rejects(first, { code: "hashing_failed" });
  assert.ok(workers[0].terminated);
  hasher.hashFile(new Blob(["b"]));
  await settle();
  assert.equal(workers.length, 2);
});

test("a worker that falls silent is given up, and only then", async () => {
  const clock = new FakeClock();
  const { hasher, workers } = staffed(clock);
  const refused = assert.rejects(hasher.hashFile(new Blob(["a"])), { code: "hashing_failed" });
  await settle();
  await clock.advance(59_000);
  workers[0].reply({ type: "progress", id: 1, bytes: 1 });
  await clock.advance(59_000);
  assert.ok(!workers[0].terminated, "a word from it begins the wait anew");
  await clock.advance(1_000);
  await refused;
  assert.ok(workers[0].terminated);
});

test("a finished job leaves nobody waiting for its worker", async () => {
  const clock = new FakeClock();
  const { hasher, workers } = staffed(clock);
  const job = hasher.hashFile(new Blob(["a"]));
  await settle();
  workers[0].reply({ type: "done", id: 1, digest: "d" });
  assert.equal(await job, "d");
  await clock.advance(120_000);
  assert.ok(!workers[0].terminated);
});

// ------------------------------------------- the real worker, the real WebAssembly

const threads = [];

/** The real hash-worker.js in a thread, behind the few methods of `Worker`; as of a page on plain HTTP? */
function threadWorker(plain) {
  const script = new URL("./helpers/worker-thread.js", import.meta.url);
  const thread = new Thread(script, { workerData: { plain } });
  threads.push(thread);
  return {
    postMessage: (message) => thread.postMessage(message),
    terminate: () => thread.terminate(),
    addEventListener: (type, listener) => {
      if (type === "message") thread.on("message", (data) => listener({ data }));
      else if (type === "error") thread.on("error", listener);
    },
  };
}

/** The worker tells its progress once for so many bytes. */
const STEP = 4 * 2 ** 20;

const PART = 2 ** 20;

/** As the reference implementation has it. */
const BLAKE3_OF_IETF = "blake3=:g6LeHub05qtoaIkkj07Az0zFcJRGpoL/0cu01hZRgeI=:";

/** Read part by part, as a browser reads a file. */
function inParts(bytes) {
  const parts = [];
  for (let at = 0; at < bytes.length; at += PART) parts.push(bytes.subarray(at, at + PART));
  return new Blob(parts);
}

const hasher = new WorkerHasher({ workerUrl: "", createWorker: () => threadWorker(false) });
const folder = await mkdtemp(join(tmpdir(), "holdfast-"));

after(async () => {
  await Promise.all(threads.map((thread) => thread.terminate()));
  await rm(folder, { recursive: true });
});

test("the real worker's hash is SHA-256, whatever the size and the parts it reads", async () => {
  for (const size of [0, 1, 63, 64, STEP - 1, STEP, STEP + 1, 2 * STEP + 12345]) {
    const bytes = randomBytes(size);
    const expected = createHash("sha256").update(bytes);
    assert.equal(await hasher.hashFile(inParts(bytes)), expected.copy().digest("hex"));
    assert.equal(await hasher.digest(inParts(bytes)), `sha-256=:${expected.digest("base64")}:`);
  }
});

test("the real worker's hash is MD5 where that is asked for, from the same file as SHA-256", async () => {
  const other = new WorkerHasher({ workerUrl: "", createWorker: () => threadWorker(false), algorithm: "md5" });
  for (const size of [0, 1, 64, STEP + 1]) {
    const bytes = randomBytes(size);
    const expected = createHash("md5").update(bytes);
    assert.equal(await other.hashFile(inParts(bytes)), expected.digest("hex"));
  }
});

test("the real worker tells its progress up to the last byte", async () => {
  const heard = [];
  const blob = inParts(randomBytes(2 * STEP + PART));
  await hasher.hashFile(blob, { onProgress: (bytes) => heard.push(bytes) });
  assert.deepEqual(heard, [0, STEP, 2 * STEP, 2 * STEP + PART]);
});

test("the real worker stops when cancelled, and hashes the next file rightly", async () => {
  const stop = new AbortController();
  const heard = [];
  const large = inParts(new Uint8Array(64 * 2 ** 20));
  const outcome = hasher.hashFile(large, {
    signal: stop.signal,
    onProgress: (bytes) => {
      heard.push(bytes);
      if (bytes > 0) stop.abort(new Error("paused"));
    },
  });
  await assert.rejects(outcome, /paused/);
  assert.ok(heard.at(-1) < large.size);
  const empty = createHash("sha256").digest("hex");
  assert.equal(await hasher.hashFile(new Blob([])), empty);
});

test("the real worker notices a file that changed on disk after it was chosen", async () => {
  const path = join(folder, "changing.bin");
  await writeFile(path, "before");
  await assert.rejects(hasher.hashFile(path), { code: "source_changed" });
});

// ------------------------------------------------------ chunks that are cut on the way

/** The large file that is hashed, chunk by chunk, and what was told of it. */
async function passed(bytes, { chunkSize, wanted, plain = false, take = true }) {
  const own = new WorkerHasher({ workerUrl: "", createWorker: () => threadWorker(plain) });
  const [chunks, skipped] = [[], []];
  const { hash, more } = own.pass(inParts(bytes), {
    chunkSize,
    wanted: () => wanted,
    onChunk: (chunk) => {
      chunks.push(chunk);
      if (take) more();
    },
    onPassed: (index) => skipped.push(index),
  });
  return { sha256: await hash, chunks, skipped };
}

test("the real worker cuts the chunks that are wanted, each with its digest, and hashes all", async () => {
  const bytes = randomBytes(12 * PART + 12_345);
  const chunkSize = 2.5 * PART;
  const { sha256, chunks, skipped } = await passed(bytes, { chunkSize, wanted: [0, 1, 3, 4] });
  assert.equal(sha256, createHash("sha256").update(bytes).digest("hex"));
  assert.deepEqual(skipped, []);
  const sorted = chunks.sort((one, other) => one.index - other.index);
  assert.deepEqual(sorted.map(({ index }) => index), [0, 1, 3, 4]);
  for (const { index, bytes: chunk, digest } of sorted) {
    const expected = bytes.subarray(index * chunkSize, (index + 1) * chunkSize);
    assert.ok(expected.equals(chunk), `chunk ${index}`);
    assert.equal(digest, `sha-256=:${createHash("sha256").update(expected).digest("base64")}:`);
  }
});

test("where browsers have no hash of their own, a chunk is sent with its BLAKE3", async () => {
  const { chunks } = await passed(Buffer.from("IETF"), { chunkSize: PART, wanted: [0], plain: true });
  assert.equal(chunks[0].digest, BLAKE3_OF_IETF);
});

test("the real worker's fingerprint is BLAKE3", async () => {
  const hex = Buffer.from(BLAKE3_OF_IETF.slice("blake3=:".length, -1), "base64").toString("hex");
  assert.equal(await hasher.fingerprint(new Blob(["IETF"])), hex);
});

test("nobody takes what was cut: the hashing goes on alone, and tells what went by", async () => {
  const chunkSize = 2 * PART;
  const wanted = [...Array(12).keys()];
  const { chunks, skipped } = await passed(new Uint8Array(24 * PART), { chunkSize, wanted, take: false });
  assert.deepEqual(chunks.map(({ index }) => index), [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.deepEqual(skipped, [8, 9, 10, 11]);
});
