/**
 * Equal files of one page: what is being sent already is not sent a second time beside it.
 * When the first has arrived, the server knows the content of the others. While a hash is not known yet,
 * a file goes by its key.
 */

import { WorkerQueue } from "./queue.js";

/** @import { Company } from "./types.d.ts" */

/**
 * @typedef {object} Line
 * @property {WorkerQueue} queue
 * @property {number} users those in it, at work or waiting
 */

export class Contents {
  /** By SHA-256, or by key. @type {Map<string, Line>} */
  #lines = new Map();

  /** @type {Company["alone"]} */
  async alone(content, work, signal) {
    const line = this.#lines.get(content) ?? { queue: new WorkerQueue({ limit: 1 }), users: 0 };
    this.#lines.set(content, line);
    line.users += 1;
    try {
      return await line.queue.add(work, { signal });
    } finally {
      line.users -= 1;
      if (line.users === 0) this.#lines.delete(content);
    }
  }

  /** @type {Company["isFree"]} */
  isFree(content) {
    return !this.#lines.has(content);
  }
}
