/**
 * Equal files of one page: what is being sent already is not sent a second time beside it.
 * When the first has arrived, the server knows the content of the others.
 */

import { WorkerQueue } from "./queue.js";

/** @import { Company } from "./types.d.ts" */

/**
 * @typedef {object} Line
 * @property {WorkerQueue} queue
 * @property {number} users those in it, at work or waiting
 */

export class Contents {
  /** By SHA-256. @type {Map<string, Line>} */
  #lines = new Map();

  /** @type {Company["alone"]} */
  async alone(sha256, work, signal) {
    const line = this.#lines.get(sha256) ?? { queue: new WorkerQueue({ limit: 1 }), users: 0 };
    this.#lines.set(sha256, line);
    line.users += 1;
    try {
      return await line.queue.add(work, { signal });
    } finally {
      line.users -= 1;
      if (line.users === 0) this.#lines.delete(sha256);
    }
  }
}
