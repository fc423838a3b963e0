/**
 * Hashing away from the page's own thread, in two workers: one for large files, a quick one for
 * chunks and small files, so that neither ever waits behind 5 GB.
 */

import { sourceChanged, UploadError } from "./errors.js";
import { WorkerQueue } from "./queue.js";
import { systemClock } from "./seams.js";

/**
 * @import {
 *   Clock, Hasher, HasherOptions, HashOptions, HashReply, HashRequest, HashWorker, PassOptions
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
export const SMALL = 5 * 1024 * 1024;

/**
 * Bytes of chunks that may have been read before their turn to be sent: with those in flight a page holds
 * 30 MiB of a file whose chunks have the usual size. Larger chunks than this are read when they are sent.
 */
const READ_AHEAD = 16 * 1024 * 1024;

/**
 * @typedef {object} Task what is to be done, and who hears of it
 * @property {Pick<Extract<HashRequest, { type: "hash" }>, "type" | "algorithm"> | { type: "digest" }} request
 * @property {HashOptions} [options]
 * @property {PassOptions} [passing]
 */

/** @implements {Hasher} */
export class WorkerHasher {
  #algorithm;
  #large;
  #quick;
  /** One at a time, lest the digest of a chunk wait behind hundreds of them. */
  #small = new WorkerQueue({ limit: 1 });

  /** @param {HasherOptions} options */
  constructor(options) {
    const { workerUrl, createWorker = moduleWorker, clock = systemClock } = options;
    const open = () => createWorker(workerUrl);
    this.#algorithm = options.algorithm ?? "sha256";
    this.#large = new Lane(open, clock);
    this.#quick = new Lane(open, clock);
  }

  /**
   * @param {Blob} blob
   * @param {HashOptions} [options]
   * @returns {Promise<string>} lowercase hex
   */
  hashFile(blob, options) {
    const request = /** @type {const} */ ({ type: "hash", algorithm: this.#algorithm });
    if (blob.size > SMALL) return this.#large.work(blob, { request, options });
    const job = (/** @type {AbortSignal} */ signal) =>
      this.#quick.work(blob, { request, options: { ...options, signal } });
    return this.#small.add(job, options);
  }

  /**
   * @param {Blob} blob
   * @param {PassOptions} passing
   */
  pass(blob, passing) {
    const request = /** @type {const} */ ({ type: "hash", algorithm: this.#algorithm });
    return {
      hash: this.#large.work(blob, { request, options: passing, passing }),
      more: () => this.#large.more(passing),
    };
  }

  /**
   * @param {Blob} blob
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<string>} the value of `Content-Digest`
   */
  digest(blob, options) {
    return this.#quick.work(blob, { request: { type: "digest" }, options });
  }

  /**
   * @param {Blob} blob
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {Promise<string>} BLAKE3, lowercase hex
   */
  fingerprint(blob, options) {
    return this.#quick.work(blob, { request: { type: "hash", algorithm: "blake3" }, options });
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
  #clock;
  #queue = new WorkerQueue({ limit: 1 });
  /** @type {HashWorker | null} */
  #worker = null;
  #lastId = 0;
  /** Whose chunks are cut by the job under way. @type {PassOptions | undefined} */
  #passing;
  /** Hears the replies to the job under way. @type {((reply: HashReply) => void) | null} */
  #listener = null;
  /** Fails the job under way. @type {((error: UploadError) => void) | null} */
  #fail = null;

  /**
   * @param {() => HashWorker} open
   * @param {Clock} clock
   */
  constructor(open, clock) {
    this.#open = open;
    this.#clock = clock;
  }

  /**
   * @param {Blob} blob
   * @param {Task} task
   */
  work(blob, task) {
    const job = (/** @type {AbortSignal} */ stop) => {
      task.options?.onProgress?.(0);
      return this.#exchange(blob, task, stop);
    };
    return this.#queue.add(job, { signal: task.options?.signal });
  }

  /**
   * There is room for one more chunk.
   *
   * @param {PassOptions} passing
   */
  more(passing) {
    if (this.#passing === passing) this.#worker?.postMessage({ type: "more", id: this.#lastId });
  }

  close() {
    this.#break(new Error("closed"));
  }

  /**
   * @param {Blob} blob
   * @param {Task} task
   * @param {AbortSignal} signal
   * @returns {Promise<string>}
   */
  #exchange(blob, { request, options, passing }, signal) {
    const id = ++this.#lastId;
    const cancel = () => this.#worker?.postMessage({ type: "cancel", id });
    const watch = this.#watch();
    this.#passing = passing;
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", cancel, { once: true });
      this.#fail = reject;
      this.#listener = (reply) => {
        if (reply.id !== id) return;
        watch.heard();
        if (reply.type === "progress") options?.onProgress?.(reply.bytes);
        else if (reply.type === "chunk") passing?.onChunk(reply);
        else if (reply.type === "passed") passing?.onPassed(reply.index);
        else if (reply.type === "done") resolve(reply.digest);
        else if (reply.type === "cancelled") reject(signal.reason);
        else reject(hashingError(reply));
      };
      this.#post({ ...request, id, blob, ...(passing && { cut: cutFor(passing) }) });
    }).finally(() => {
      watch.end();
      signal.removeEventListener("abort", cancel);
      this.#listener = this.#fail = null;
      this.#passing = undefined;
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

/**
 * What is wanted when the file's turn has come.
 *
 * @param {PassOptions} passing
 */
function cutFor({ chunkSize, wanted }) {
  return { chunkSize, wanted: wanted(), room: Math.floor(READ_AHEAD / chunkSize) };
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
