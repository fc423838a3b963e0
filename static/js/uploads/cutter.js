/** Cuts chunks out of a file that goes by part by part, while somebody else reads it. */

/** @import { CutOptions } from "./types.d.ts" */

/**
 * Milliseconds that the reading waits for room. A line that takes chunks of the usual size faster than this
 * (20 MB/s) takes all of them as they come by, and no byte is read twice; on a slower one the hash should
 * not come as late as the last byte, since the server may know it.
 */
const PATIENCE = 250;

/**
 * @typedef {object} Surroundings
 * @property {(index: number, bytes: Uint8Array<ArrayBuffer>) => void} onCut a chunk, whole
 * @property {(index: number) => void} onPassed one that was wanted goes by: there is no room for it
 * @property {(callback: () => void, delay: number) => unknown} setTimeout
 */

export class Cutter {
  #size;
  #chunkSize;
  #wanted;
  #around;
  #room;
  /** Ends the wait for room. */
  #hurry = () => {};
  /** It was waited for in vain, and there has been none since. */
  #isSlow = false;
  /** Bytes that have gone by. */
  #position = 0;
  /** The chunk that is being cut. @type {Uint8Array<ArrayBuffer> | null} */
  #chunk = null;

  /**
   * @param {number} size bytes of the file
   * @param {CutOptions} options
   * @param {Surroundings} around
   */
  constructor(size, { chunkSize, wanted, room }, around) {
    this.#size = size;
    this.#chunkSize = chunkSize;
    this.#wanted = new Set(wanted);
    this.#room = room;
    this.#around = around;
  }

  /** One further chunk may be cut. */
  more() {
    this.#room += 1;
    this.#isSlow = false;
    this.#hurry();
  }

  /**
   * Resolves when the next part may come.
   *
   * @param {Uint8Array} part the next bytes of the file
   */
  async pass(part) {
    for (let rest = part; rest.length > 0; ) {
      const index = Math.floor(this.#position / this.#chunkSize);
      const within = this.#position - index * this.#chunkSize;
      if (within === 0 && this.#wanted.has(index)) await this.#begin(index);
      const piece = rest.subarray(0, this.#chunkSize - within);
      this.#chunk?.set(piece, within);
      this.#position += piece.length;
      if (this.#chunk?.length === within + piece.length) this.#end(index, this.#chunk);
      rest = rest.subarray(piece.length);
    }
  }

  /** @param {number} index */
  async #begin(index) {
    if (this.#room === 0 && !this.#isSlow) await this.#wait();
    if (this.#room === 0) return this.#around.onPassed(index);
    this.#room -= 1;
    const length = Math.min(this.#chunkSize, this.#size - this.#position);
    this.#chunk = new Uint8Array(length);
  }

  async #wait() {
    this.#isSlow = true;
    await new Promise((resolve) => {
      this.#hurry = () => resolve(undefined);
      this.#around.setTimeout(this.#hurry, PATIENCE);
    });
  }

  /**
   * @param {number} index
   * @param {Uint8Array<ArrayBuffer>} chunk
   */
  #end(index, chunk) {
    this.#chunk = null;
    this.#around.onCut(index, chunk);
  }
}
