/** Cuts chunks out of a file that goes by part by part, while somebody else reads it. */

/** @import { CutOptions } from "./types.d.ts" */

/**
 * @typedef {object} Takers
 * @property {(index: number, bytes: Uint8Array<ArrayBuffer>) => void} onCut a chunk, whole
 * @property {(index: number) => void} onPassed one that was wanted goes by: there is no room for it
 */

export class Cutter {
  #size;
  #chunkSize;
  #wanted;
  #takers;
  /** Bytes that have gone by. */
  #position = 0;
  /** The chunk that is being cut. @type {Uint8Array<ArrayBuffer> | null} */
  #chunk = null;

  /**
   * @param {number} size bytes of the file
   * @param {CutOptions} options
   * @param {Takers} takers
   */
  constructor(size, { chunkSize, wanted, room }, takers) {
    this.#size = size;
    this.#chunkSize = chunkSize;
    this.#wanted = new Set(wanted);
    /** How many further chunks may be cut. */
    this.room = room;
    this.#takers = takers;
  }

  /** @param {Uint8Array} part the next bytes of the file */
  pass(part) {
    for (let rest = part; rest.length > 0; ) {
      const index = Math.floor(this.#position / this.#chunkSize);
      const within = this.#position - index * this.#chunkSize;
      if (within === 0) this.#begin(index);
      const piece = rest.subarray(0, this.#chunkSize - within);
      this.#chunk?.set(piece, within);
      this.#position += piece.length;
      if (this.#chunk?.length === within + piece.length) this.#end(index, this.#chunk);
      rest = rest.subarray(piece.length);
    }
  }

  /** @param {number} index */
  #begin(index) {
    if (!this.#wanted.has(index)) return;
    if (this.room === 0) return this.#takers.onPassed(index);
    this.room -= 1;
    const length = Math.min(this.#chunkSize, this.#size - this.#position);
    this.#chunk = new Uint8Array(length);
  }

  /**
   * @param {number} index
   * @param {Uint8Array<ArrayBuffer>} chunk
   */
  #end(index, chunk) {
    this.#chunk = null;
    this.#takers.onCut(index, chunk);
  }
}
