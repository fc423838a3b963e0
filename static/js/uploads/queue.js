/**
 * A queue of jobs with a limit on how many run at once: chunks go neither one by one
 * (each would wait for the answer to the one before) nor all at once (each would get a
 * sliver of the line, and one cut would lose them all).
 */

/** @import { JobOptions, WorkerQueue as Queue } from "./types.d.ts" */

/** Enough to hide the round trip between chunks, few enough to lose little in a cut. */
export const DEFAULT_LIMIT = 3;

/**
 * @typedef {object} Entry
 * @property {() => void} begin
 * @property {(reason: unknown) => void} abort drops it when it waits, aborts it when it runs
 */

/** @implements {Queue} */
export class WorkerQueue {
  /** @type {number} */
  #limit;
  #paused = false;
  /** In the order of arrival. @type {Set<Entry>} */
  #waiting = new Set();
  /** @type {Set<Entry>} */
  #running = new Set();

  /** @param {{ limit?: number }} [options] */
  constructor({ limit = DEFAULT_LIMIT } = {}) {
    this.#limit = checkedLimit(limit);
  }

  get limit() {
    return this.#limit;
  }

  set limit(limit) {
    this.#limit = checkedLimit(limit);
    this.#fill();
  }

  get running() {
    return this.#running.size;
  }

  get waiting() {
    return this.#waiting.size;
  }

  get paused() {
    return this.#paused;
  }

  /**
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} job
   * @param {JobOptions} [options]
   * @returns {Promise<T>}
   */
  add(job, { signal } = {}) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const controller = new AbortController();
      const onAbort = () => entry.abort(signal?.reason);
      /** @type {Entry} */
      const entry = {
        begin: () => {
          Promise.resolve(controller.signal)
            .then(job)
            .then(resolve, reject)
            .finally(() => this.#leave(entry, signal, onAbort));
        },
        abort: (reason) => {
          controller.abort(reason);
          if (!this.#waiting.delete(entry)) return;
          signal?.removeEventListener("abort", onAbort);
          reject(controller.signal.reason);
        },
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waiting.add(entry);
      this.#fill();
    });
  }

  start() {
    this.#paused = false;
    this.#fill();
  }

  pause() {
    this.#paused = true;
  }

  /** @param {unknown} [reason] an AbortError when not given */
  clear(reason) {
    for (const entry of [...this.#waiting, ...this.#running]) entry.abort(reason);
  }

  #fill() {
    for (const entry of this.#waiting) {
      if (this.#paused || this.#running.size >= this.#limit) return;
      this.#waiting.delete(entry);
      this.#running.add(entry);
      entry.begin();
    }
  }

  /**
   * @param {Entry} entry
   * @param {AbortSignal | undefined} signal
   * @param {() => void} onAbort
   */
  #leave(entry, signal, onAbort) {
    signal?.removeEventListener("abort", onAbort);
    this.#running.delete(entry);
    this.#fill();
  }
}

/** @param {number} limit */
function checkedLimit(limit) {
  if (!Number.isInteger(limit) || limit < 1) {
    throw new RangeError(`a queue needs a limit of at least 1, not ${limit}`);
  }
  return limit;
}
