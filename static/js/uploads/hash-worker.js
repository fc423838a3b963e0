/**
 * A module worker that hashes blobs in WebAssembly, as the bytes stream by, and cuts chunks out of them on
 * the way. One job at a time, as hashing.js sees to; what it is asked and answers is `HashRequest` and
 * `HashReply`.
 */

import "../../vendor/hash-wasm-4.13.0/blake3.umd.min.js";
import "../../vendor/hash-wasm-4.13.0/md5.umd.min.js";
import "../../vendor/hash-wasm-4.13.0/sha256.umd.min.js";
import { Cutter } from "./cutter.js";

/** @import { HashAlgorithm, HashReply, HashRequest } from "./types.d.ts" */

/** Bytes between two words on progress: several a second, where each would be thousands. */
const STEP = 4 * 1024 * 1024;

/** Bytes: the browser's own SHA-256 takes a chunk in one piece, which larger ones are not held in. */
const LARGEST_PIECE = 16 * 1024 * 1024;

/** @type {Record<HashAlgorithm, () => Promise<StreamingHash>>} */
const COMPILE = {
  blake3: () => hashwasm.createBLAKE3(),
  md5: () => hashwasm.createMD5(),
  sha256: () => hashwasm.createSHA256(),
};

/** Each is compiled once, when it is first needed. @type {Partial<Record<HashAlgorithm, Promise<StreamingHash>>>} */
const instances = {};

/**
 * @typedef {object} Job
 * @property {number} id
 * @property {boolean} cancelled
 * @property {Cutter | null} cutter
 */

/** The job under way. @type {Job | null} */
let job = null;

/**
 * @param {HashReply} message
 * @param {Transferable[]} [moved]
 */
const reply = (message, moved = []) => self.postMessage(message, { transfer: moved });

self.addEventListener("message", (/** @type {MessageEvent<HashRequest>} */ { data }) => {
  if (data.type === "hash" || data.type === "digest") work(data);
  else if (job?.id !== data.id) return;
  else if (data.type === "cancel") job.cancelled = true;
  else job.cutter?.more();
});

/** @param {Extract<HashRequest, { blob: Blob }>} request */
async function work(request) {
  const { id, blob } = request;
  const mine = { id, cancelled: false, cutter: null };
  job = mine;
  try {
    const digest = await (request.type === "hash" ? hashed(request, mine) : digested(blob, mine));
    reply(mine.cancelled ? { type: "cancelled", id } : { type: "done", id, digest });
  } catch (error) {
    const { name, message } = await explained(error, blob);
    reply({ type: "error", id, name, message });
  }
}

/**
 * @param {Extract<HashRequest, { type: "hash" }>} request
 * @param {Job} mine
 * @returns {Promise<string>} lowercase hex
 */
async function hashed({ blob, algorithm, cut }, mine) {
  /** @type {Promise<void>[]} */
  const chunks = [];
  mine.cutter = cut
    ? new Cutter(blob.size, cut, {
        onCut: (index, bytes) => chunks.push(handOver(mine, index, bytes)),
        onPassed: (index) => reply({ type: "passed", id: mine.id, index }),
        setTimeout: (callback, delay) => setTimeout(callback, delay),
      })
    : null;
  const sum = await absorbed(blob, algorithm, mine);
  const digest = sum.digest("hex");
  await Promise.all(chunks);
  return digest;
}

/**
 * @param {Job} mine
 * @param {number} index
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
async function handOver(mine, index, bytes) {
  const digest = await digestOf(bytes);
  reply({ type: "chunk", id: mine.id, index, bytes, digest }, [bytes.buffer]);
}

/**
 * What a chunk is sent with.
 *
 * @param {Blob} blob
 * @param {Job} mine
 * @returns {Promise<string>} the value of `Content-Digest`, RFC 9530
 */
async function digested(blob, mine) {
  if (blob.size <= LARGEST_PIECE) return digestOf(new Uint8Array(await blob.arrayBuffer()));
  return field("blake3", (await absorbed(blob, "blake3", mine)).digest("binary"));
}

/**
 * The browser's own SHA-256 is the fastest, and works beside us; on plain HTTP there is none, and BLAKE3 is
 * the fastest in WebAssembly.
 *
 * @param {Uint8Array<ArrayBuffer>} bytes
 */
async function digestOf(bytes) {
  if (self.crypto.subtle) {
    return field("sha-256", new Uint8Array(await self.crypto.subtle.digest("SHA-256", bytes)));
  }
  return field("blake3", (await hasher("blake3")).init().update(bytes).digest("binary"));
}

/**
 * By the blob's stream: measured against reading slice by slice it is half as fast again,
 * since the browser reads ahead while WebAssembly works. Not with a buffer of our own ("byob"),
 * which would spare the collector some work: in Chromium such a read may never end.
 *
 * @param {Blob} blob
 * @param {HashAlgorithm} algorithm
 * @param {Job} mine
 */
async function absorbed(blob, algorithm, mine) {
  const sum = (await hasher(algorithm)).init();
  const reader = blob.stream().getReader();
  let [hashed, told] = [0, 0];
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    if (mine.cancelled) return reader.cancel().then(() => sum);
    sum.update(part.value);
    await mine.cutter?.pass(part.value);
    hashed += part.value.length;
    if (hashed - told < STEP && hashed < blob.size) continue;
    told = hashed;
    reply({ type: "progress", id: mine.id, bytes: hashed });
  }
  // A file that shrank may end early instead of failing.
  if (hashed !== blob.size) throw unreadable(`read ${hashed} of ${blob.size} bytes`);
  return sum;
}

/** @param {HashAlgorithm} algorithm */
function hasher(algorithm) {
  instances[algorithm] ??= COMPILE[algorithm]();
  return instances[algorithm];
}

/**
 * Of a file that changed on disk a stream says "network error"; a plain read names it.
 *
 * @param {unknown} error
 * @param {Blob} blob
 * @returns {Promise<{ name: string, message: string }>}
 */
async function explained(error, blob) {
  try {
    await blob.slice(0, 1).arrayBuffer();
  } catch (plain) {
    if (plain instanceof Error) return plain;
  }
  return error instanceof Error ? error : new Error(String(error));
}

/** @param {string} message */
function unreadable(message) {
  return new DOMException(message, "NotReadableError");
}

/**
 * @param {"sha-256" | "blake3"} algorithm
 * @param {Uint8Array} digest
 */
function field(algorithm, digest) {
  return `${algorithm}=:${btoa(String.fromCharCode(...digest))}:`;
}
