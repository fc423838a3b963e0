/**
 * The server's grid: a file of `size` bytes cut every `chunkSize` bytes, counted from 0.
 * Pure arithmetic; numbers stay exact up to 2**53 bytes.
 */

/** @import { Chunk } from "./types.d.ts" */

export class ChunkPlan {
  /**
   * @param {number} size bytes of the whole file
   * @param {number} chunkSize bytes of every chunk but perhaps the last
   */
  constructor(size, chunkSize) {
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new RangeError(`a file cannot have ${size} bytes`);
    }
    if (!Number.isSafeInteger(chunkSize) || chunkSize < 1) {
      throw new RangeError(`a chunk cannot have ${chunkSize} bytes`);
    }
    this.size = size;
    this.chunkSize = chunkSize;
    /** How many chunks there are; an empty file has none. */
    this.total = Math.ceil(size / chunkSize);
  }

  /**
   * @param {number} index
   * @returns {Chunk}
   */
  chunk(index) {
    if (!Number.isInteger(index) || index < 0 || index >= this.total) {
      throw new RangeError(`chunk ${index} is outside 0..${this.total - 1}`);
    }
    const start = index * this.chunkSize;
    const end = Math.min(start + this.chunkSize, this.size);
    return { index, start, end, size: end - start };
  }

  /**
   * Bytes of several chunks together; each index is expected once.
   *
   * @param {Iterable<number>} indices
   */
  bytesOf(indices) {
    let bytes = 0;
    for (const index of indices) bytes += this.chunk(index).size;
    return bytes;
  }

  /**
   * The chunks that are not missing, in order.
   *
   * @param {Iterable<number>} missing
   * @returns {number[]}
   */
  present(missing) {
    const absent = new Set(missing);
    return Array.from({ length: this.total }, (_, index) => index).filter(
      (index) => !absent.has(index),
    );
  }
}
