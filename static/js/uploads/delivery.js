/**
 * Brings the chunks that the server lacks to the server, several at once, and keeps the
 * account of what has arrived.
 */

import { ChunkPlan } from "./plan.js";
import { WorkerQueue } from "./queue.js";
import { isBusy } from "./retry.js";

/**
 * @import { Chunk, ChunkReceipt, SessionInfo, Transport } from "./types.d.ts"
 * @import { Source } from "./source.js"
 */

/**
 * @typedef {object} Surroundings
 * @property {Source} source
 * @property {Transport} transport
 * @property {number} parallel
 * @property {<T>(attempt: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) =>
 *   Promise<T>} persist runs a request with retries
 * @property {(bytes: number) => void} onSent more bytes have left
 * @property {(receipt: ChunkReceipt) => void} onReceipt a chunk is safe at the server
 * @property {() => void} onChange any count below is another one
 */

/**
 * @typedef {object} Scout
 * @property {number} index
 * @property {Promise<unknown>} through settles when it was taken, or is no longer sent
 * @property {() => void} report
 */

export class Delivery {
  #around;
  #queue;
  #plan = new ChunkPlan(0, 1);
  /** @type {Set<number>} */
  #missing = new Set();
  /** Bytes sent of each chunk on its way. @type {Map<number, number>} */
  #inFlight = new Map();

  /** No further chunk is begun. */
  #draining = false;

  /** The chunk that asks a busy server for all. @type {Scout | null} */
  #scout = null;

  /** Bytes the server has confirmed. */
  acknowledged = 0;

  /** @param {Surroundings} around */
  constructor(around) {
    this.#around = around;
    this.#queue = new WorkerQueue({ limit: around.parallel });
  }

  get parallel() {
    return this.#queue.limit;
  }

  set parallel(parallel) {
    this.#queue.limit = parallel;
  }

  /** Chunks on their way at this moment; those that wait for a retry do not count. */
  get chunksInFlight() {
    return this.#inFlight.size;
  }

  /** What has not arrived, ascending. */
  get missing() {
    return [...this.#missing];
  }

  /** Indices of the chunks in flight. */
  get inFlight() {
    return [...this.#inFlight.keys()];
  }

  get bytesInFlight() {
    let bytes = 0;
    for (const sent of this.#inFlight.values()) bytes += sent;
    return bytes;
  }

  /**
   * Takes the server's word for what has arrived. While the size is unknown nothing is sent, nor
   * counted.
   *
   * @param {SessionInfo} session
   */
  follow(session) {
    this.#plan = new ChunkPlan(session.size ?? 0, session.chunk_size);
    this.#missing = new Set(session.missing);
    this.acknowledged = this.#plan.size - this.#plan.bytesOf(this.#missing);
  }

  /** Those on their way are brought to their end, and `run` then ends with what is still missing. */
  drain() {
    this.#draining = true;
  }

  /**
   * Resolves when all that was missing has arrived. Rejects with the first failure, but
   * only when no chunk is on its way any more.
   *
   * @param {SessionInfo} session
   * @param {AbortSignal} signal
   */
  async run(session, signal) {
    signal.throwIfAborted();
    this.#draining = false;
    const stop = () => this.#queue.clear(signal.reason);
    signal.addEventListener("abort", stop, { once: true });
    const jobs = [...this.#missing].map((index) =>
      this.#queue.add((either) => this.#deliver(session, this.#plan.chunk(index), either)),
    );
    try {
      await Promise.all(jobs);
    } catch (error) {
      this.#queue.clear(error);
      await Promise.allSettled(jobs);
      throw error;
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /**
   * @param {SessionInfo} session
   * @param {Chunk} chunk
   * @param {AbortSignal} signal
   */
  async #deliver(session, chunk, signal) {
    if (this.#draining) return;
    const attempt = (/** @type {AbortSignal} */ either) => this.#attempt(session, chunk, either);
    try {
      await this.#around.persist(attempt, signal);
    } finally {
      if (this.#scout?.index === chunk.index) this.#dismissScout();
    }
  }

  /**
   * Of a busy server, or one whose disk is full, the chunk that was refused first asks for all
   * until it is taken: the bodies of the others would be carried there in vain.
   *
   * @param {SessionInfo} session
   * @param {Chunk} chunk
   * @param {AbortSignal} signal
   */
  async #attempt(session, chunk, signal) {
    const scout = this.#scout;
    if (scout && scout.index !== chunk.index) await unlessAborted(scout.through, signal);
    try {
      await this.#send(session, chunk, signal);
    } catch (error) {
      if (isBusy(error)) this.#sendScout(chunk);
      throw error;
    }
  }

  /** @param {Chunk} chunk */
  #sendScout({ index }) {
    if (this.#scout) return;
    const { promise, resolve } = Promise.withResolvers();
    this.#scout = { index, through: promise, report: () => resolve(undefined) };
  }

  #dismissScout() {
    this.#scout?.report();
    this.#scout = null;
  }

  /**
   * @param {SessionInfo} session
   * @param {Chunk} chunk
   * @param {AbortSignal} signal
   */
  async #send(session, chunk, signal) {
    const { source, transport } = this.#around;
    this.#moved(chunk, 0);
    try {
      // Read anew for each further attempt: that is how a change on disk comes to light.
      const { body, digest } = await source.read(chunk, signal);
      signal.throwIfAborted();
      const onProgress = (/** @type {number} */ bytes) => this.#moved(chunk, bytes);
      const options = { digest, signal, onProgress };
      this.#arrived(chunk, await transport.sendChunk(session, chunk, body, options));
    } finally {
      this.#inFlight.delete(chunk.index);
      this.#around.onChange();
    }
  }

  /**
   * @param {Chunk} chunk
   * @param {number} bytes sent of it so far
   */
  #moved(chunk, bytes) {
    const sent = Math.min(bytes, chunk.size);
    this.#around.onSent(Math.max(sent - (this.#inFlight.get(chunk.index) ?? 0), 0));
    this.#inFlight.set(chunk.index, sent);
    this.#around.onChange();
  }

  /**
   * @param {Chunk} chunk
   * @param {ChunkReceipt} receipt
   */
  #arrived(chunk, receipt) {
    this.#around.onSent(chunk.size - (this.#inFlight.get(chunk.index) ?? 0));
    this.#inFlight.delete(chunk.index);
    this.#missing.delete(chunk.index);
    this.#around.source.release(chunk.index);
    this.acknowledged += chunk.size;
    this.#around.onReceipt(receipt);
  }
}

/**
 * @param {Promise<unknown>} promise
 * @param {AbortSignal} signal
 */
async function unlessAborted(promise, signal) {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
