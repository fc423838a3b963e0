/**
 * Hashing away from the page's own thread, in two workers: one for large files, a quick one for
 * chunks and small files, so that neither ever waits behind 5 GB.
 */

import { sourceChanged, UploadError } from "./errors.js";
import { WorkerQueue } from "./queue.js";
import { systemClock } from "./seams.js";

/**
 * @import {
 *   Clock, HashAlgorithm, Hasher, HasherOptions, HashOptions, HashReply, HashRequest, HashWorker
 * } from "./types.d.ts"
 */

/** How browsers name a file that is gone, changed on disk or no longer readable. */
const UNREADABLE = ["NotReadableError", "NotFoundError", "SecurityError"];

/**
 * Milliseconds without a word from a worker, which has one for every few MiB. After two such
 * times in a row it is given up; after one, the computer may just have slept.
 */
const PATIENCE = 30_000;

/** Bytes: a chunk of the server's usual size, which is hashed in a few hundredths of a second. */
const SMALL = 5 * 1024 * 1024;

/** @implements {Hasher} */
export class WorkerHasher {
  #large;
  #quick;
  /** One at a time, lest the digest of a chunk wait behind hundreds of them. */
  #small = new WorkerQueue({ limit: 1 });

  /** @param {HasherOptions} options */
  constructor(options) {
    const { workerUrl, createWorker = moduleWorker, clock = systemClock } = options;
    const { algorithm = "sha256" } = options;
    const open = () => createWorker(workerUrl);
    this.#large = new Lane(open, algorithm, clock);
    this.#quick = new Lane(open, algorithm, clock);
  }

  /**
   * @param {Blob} blob
   * @param {HashOptions} [options]
   * @returns {Promise<string>} lowercase hex
   */
  hashFile(blob, options) {
    if (blob.size > SMALL) return this.#large.hash(blob, "hex", options);
    const job = (/** @type {AbortSignal} */ signal) =>
      this.#quick.hash(blob, "hex", { ...options, signal });
    return this.#small.add(job, options);
  }

  /**
   * @param {Blob} blob
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<string>} base64
   */
  digest(blob, options) {
    return this.#quick.hash(blob, "base64", options);
  }

  /** Ends the workers; what they were hashing fails. They are started again on demand. */
  close() {
    this.#large.close();
    this.#quick.close();
  }
}

/** @param {string} url */
function moduleWorker(url) {
  return new Worker(url, { type: "module" });
}

/** One worker and its jobs, one after another. */
class Lane {
  #open;
  #algorithm;
  #clock;
  #queue = new WorkerQueue({ limit: 1 });
  /** @type {HashWorker | null} */
  #worker = null;
  #lastId = 0;
  /** Hears the replies to the job under way. @type {((reply: HashReply) => void) | null} */
  #listener = null;
  /** Fails the job under way. @type {((error: UploadError) => void) | null} */
  #fail = null;

  /**
   * @param {() => HashWorker} open
   * @param {HashAlgorithm} algorithm
   * @param {Clock} clock
   */
  constructor(open, algorithm, clock) {
    this.#open = open;
    this.#algorithm = algorithm;
    this.#clock = clock;
  }

  /**
   * @param {Blob} blob
   * @param {"hex" | "base64"} encoding
   * @param {HashOptions} [options]
   */
  hash(blob, encoding, { onProgress, signal } = {}) {
    const job = (/** @type {AbortSignal} */ stop) => {
      onProgress?.(0);
      return this.#exchange(blob, encoding, onProgress, stop);
    };
    return this.#queue.add(job, { signal });
  }

  close() {
    this.#break(new Error("closed"));
  }

  /**
   * @param {Blob} blob
   * @param {"hex" | "base64"} encoding
   * @param {((bytes: number) => void) | undefined} onProgress
   * @param {AbortSignal} signal
   * @returns {Promise<string>}
   */
  #exchange(blob, encoding, onProgress, signal) {
    const id = ++this.#lastId;
    const cancel = () => this.#worker?.postMessage({ type: "cancel", id });
    const watch = this.#watch();
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", cancel, { once: true });
      this.#fail = reject;
      this.#listener = (reply) => {
        if (reply.id !== id) return;
        watch.heard();
        if (reply.type === "progress") onProgress?.(reply.bytes);
        else if (reply.type === "done") resolve(reply.digest);
        else if (reply.type === "cancelled") reject(signal.reason);
        else reject(hashingError(reply));
      };
      this.#post({ type: "hash", id, blob, algorithm: this.#algorithm, encoding });
    }).finally(() => {
      watch.end();
      signal.removeEventListener("abort", cancel);
      this.#listener = this.#fail = null;
    });
  }

  /** Gives the worker up when it falls silent in the middle of a job. */
  #watch() {
    let silent = 0;
    const expired = () => {
      silent += 1;
      if (silent === 2) this.#break(new Error("the worker says nothing"));
      else timer = this.#clock.setTimeout(expired, PATIENCE);
    };
    let timer = this.#clock.setTimeout(expired, PATIENCE);
    const end = () => this.#clock.clearTimeout(timer);
    const heard = () => {
      end();
      silent = 0;
      timer = this.#clock.setTimeout(expired, PATIENCE);
    };
    return { heard, end };
  }

  /** @param {HashRequest} request */
  #post(request) {
    this.#worker ??= this.#hired();
    this.#worker.postMessage(request);
  }

  #hired() {
    const worker = this.#open();
    worker.addEventListener("message", ({ data }) => this.#listener?.(data));
    for (const accident of ["error", "messageerror"]) {
      worker.addEventListener(accident, (event) => {
        if (worker === this.#worker) this.#break(event);
      });
    }
    return worker;
  }

  /** @param {unknown} cause */
  #break(cause) {
    this.#worker?.terminate();
    this.#worker = null;
    this.#fail?.(stopped(cause));
  }
}

/** @param {Extract<HashReply, { type: "error" }>} reply */
function hashingError({ name, message }) {
  const cause = new Error(`${name}: ${message}`);
  return UNREADABLE.includes(name) ? sourceChanged(cause) : stopped(cause);
}

/** @param {unknown} cause */
function stopped(cause) {
  return new UploadError(
    "The file could not be checked: the page's hash worker stopped. Try again; nothing sent so " +
      "far is lost.",
    { code: "hashing_failed", cause },
  );
}
