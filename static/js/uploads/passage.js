/**
 * The chunks of a file that are cut out of it while it is hashed, until they are sent: so the file is read
 * once. What goes by before there is room, or is wanted long before it would come by, its sender reads.
 */

/** @import { Chunk, Hasher, HashOptions, PassingChunk } from "./types.d.ts" */

/** Bytes that may lie between where the hashing is and a chunk that is waited for: a fraction of a second. */
const NEAR = 64 * 1024 * 1024;

/** @typedef {{ chunkSize: number, wanted: () => number[] } & HashOptions} PassageOptions */

export class Passage {
  #chunkSize;
  #more;
  /** Where the hashing is; null until it has begun. @type {number | null} */
  #position = null;
  /** Chunks that are still to come by. @type {Set<number>} */
  #due = new Set();
  /** Those that have come, until they are taken. @type {Map<number, PassingChunk>} */
  #ready = new Map();
  /** @type {Map<number, (chunk: PassingChunk | null) => void>} */
  #awaited = new Map();

  /**
   * @param {Blob} file
   * @param {Hasher} hasher
   * @param {PassageOptions} options
   */
  constructor(file, hasher, { chunkSize, wanted, onProgress, signal }) {
    this.#chunkSize = chunkSize;
    const { hash, more } = hasher.pass(file, {
      chunkSize,
      wanted: () => this.#expect(wanted()),
      onChunk: (chunk) => this.#come(chunk),
      onPassed: (index) => this.#settle(index, null),
      onProgress: (bytes) => {
        this.#position = bytes;
        onProgress?.(bytes);
      },
      signal,
    });
    this.#more = more;
    /** Of the whole file, lowercase hex. */
    this.hash = hash.finally(() => this.#end());
  }

  /**
   * The chunk, if it was or will soon be cut; once. Null for one that has to be read by itself.
   *
   * @param {Chunk} chunk
   * @returns {Promise<PassingChunk | null>}
   */
  async take({ index, start, size }) {
    if (start !== index * this.#chunkSize) return null;
    const chunk = this.#ready.get(index) ?? (await this.#coming(index, start));
    if (!chunk || chunk.bytes.length !== size) return null;
    this.#ready.delete(index);
    this.#more();
    return chunk;
  }

  /**
   * Nobody waits for that chunk any more, should it still come by.
   *
   * @param {number} index
   */
  forget(index) {
    this.#due.delete(index);
    if (this.#ready.delete(index)) this.#more();
  }

  /**
   * @param {number} index
   * @param {number} start
   * @returns {Promise<PassingChunk | null>}
   */
  #coming(index, start) {
    const isNear = this.#position !== null && start - this.#position <= NEAR;
    if (!isNear || !this.#due.has(index)) return Promise.resolve(null);
    return new Promise((resolve) => this.#awaited.set(index, resolve));
  }

  /** @param {number[]} indices */
  #expect(indices) {
    this.#due = new Set(indices);
    return indices;
  }

  /** @param {PassingChunk} chunk */
  #come(chunk) {
    if (this.#due.has(chunk.index)) this.#ready.set(chunk.index, chunk);
    else this.#more();
    this.#settle(chunk.index, chunk);
  }

  /**
   * @param {number} index
   * @param {PassingChunk | null} chunk
   */
  #settle(index, chunk) {
    this.#due.delete(index);
    this.#awaited.get(index)?.(chunk);
    this.#awaited.delete(index);
  }

  /** Nothing comes by any more; what was cut may still be taken. */
  #end() {
    for (const index of [...this.#due]) this.#settle(index, null);
  }
}
