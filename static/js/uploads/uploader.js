/** The uploads of one page: hashed one after another, sent a few at a time. No DOM. */

import { Contents } from "./contents.js";
import { isFinal, needsTheFile } from "./errors.js";
import { isAtRest, isBusyPhase } from "./phases.js";
import { DEFAULT_LIMIT, WorkerQueue } from "./queue.js";
import { sleep, withDefaults } from "./seams.js";
import { Batch } from "./totals.js";
import { Upload } from "./upload.js";

/**
 * @import {
 *   Addition, Company, SessionToResume, SourceFile, Turn, UploaderOptions, UploadHandle
 * } from "./types.d.ts"
 */

/** Two keep the line full while a third agrees with the server on what is missing. */
const FILES_AT_ONCE = 3;

/** More would only share the line more thinly: browsers open six connections to a server. */
const MOST_FILES_AT_ONCE = 10;

/**
 * Files being verified that are looked at in short intervals. The server verifies one after
 * another: when the first are through, the next may be too, and questions were spared.
 */
const WATCHED_AT_ONCE = 2;

/** Files added in one breath: each asks the disk for size and date, and the page waits for it. */
const SLICE = 25;

/** Events: `change`, a CustomEvent whose `detail` is the upload that changed. */
export class Uploader extends EventTarget {
  #options;
  #seams;
  #sending;
  #batch;
  #contents = new Contents();
  #watching = new WorkerQueue({ limit: WATCHED_AT_ONCE });
  /** @type {Set<Upload>} */
  #uploads = new Set();

  /** @param {UploaderOptions} options */
  constructor({ files = FILES_AT_ONCE, ...options }) {
    super();
    this.#options = options;
    this.#seams = withDefaults(options);
    this.#sending = new WorkerQueue({ limit: checkedFiles(files) });
    this.#batch = new Batch(this.#seams.clock);
  }

  /** In the order they were added. */
  get uploads() {
    return [...this.#uploads];
  }

  /** Whether leaving the page would interrupt anything, or lose what the server does not know. */
  get busy() {
    for (const { phase, sessionId } of this.#uploads) {
      if (isBusyPhase(phase) || (phase === "paused" && sessionId === null)) return true;
    }
    return false;
  }

  /** How many files are sent at once, 1 to 10; may be set while they are. */
  get files() {
    return this.#sending.limit;
  }

  /** A lower number lets those under way finish. Throws a RangeError beyond 1 to 10. */
  set files(files) {
    this.#sending.limit = checkedFiles(files);
  }

  /** All uploads of the present batch together, as of now. */
  get totals() {
    return this.#batch.totals;
  }

  /** @param {Upload} upload */
  has(upload) {
    return this.#uploads.has(upload);
  }

  /**
   * The upload at that session, or meant to continue it; of several the one not at rest, else
   * the latest. Null when there is none.
   *
   * @param {string} sessionId
   */
  find(sessionId) {
    let found = null;
    for (const upload of this.#uploads) {
      if (upload.sessionId !== sessionId) continue;
      if (!isAtRest(upload.phase)) return upload;
      found = upload;
    }
    return found;
  }

  /**
   * Begins at once: the file is hashed when the ones before it are, and sent in its turn; a large one is
   * hashed while it is sent.
   *
   * @param {SourceFile} file
   * @param {Omit<Addition, "file">} [options] its folder, and the interrupted session it continues
   */
  add(file, { session = null, folder = "" } = {}) {
    const present = session && this.#working(session);
    if (present) {
      present.resume();
      return present;
    }
    const { parallel = DEFAULT_LIMIT } = this.#options;
    const upload = new Upload({
      ...this.#options,
      ...{ file, session, folder, parallel },
      turn: this.#turn,
      company: this.#company,
      onSent: (bytes) => this.#batch.sent(bytes),
    });
    this.#uploads.add(upload);
    upload.addEventListener("change", () => this.#changed(upload));
    upload.start();
    this.#changed(upload);
    return upload;
  }

  /**
   * Adds many as one batch, some at a time, so that the page stays responsive.
   *
   * @param {Iterable<Addition>} additions
   * @returns {Promise<Upload[]>} in the same order
   */
  async addAll(additions) {
    /** @type {Upload[]} */
    const uploads = [];
    this.#batch.hold();
    try {
      for (const { file, folder, session } of additions) {
        if (uploads.length > 0 && uploads.length % SLICE === 0) await sleep(this.#seams.clock, 0);
        uploads.push(this.add(file, { folder, session }));
      }
    } finally {
      this.#batch.release();
    }
    return uploads;
  }

  /**
   * Forgets an upload that is at rest; its session, if it has one, stays at the server.
   *
   * @param {Upload} upload
   */
  remove(upload) {
    if (!isAtRest(upload.phase) || !this.#uploads.delete(upload)) return;
    this.#batch.leave(upload);
    this.#changed(upload);
  }

  pauseAll() {
    for (const upload of this.#uploads) upload.pause();
  }

  /** Those that are paused go on, and those that wait for another try make it now. */
  resumeAll() {
    for (const upload of this.#uploads) {
      if (["paused", "retrying", "offline"].includes(upload.phase)) upload.resume();
    }
  }

  /** Whether `retryAll` would try anything. */
  get canRetry() {
    return this.uploads.some(isWorthAnotherTry);
  }

  /** Those that failed, and neither need their file chosen again nor would fail again. */
  retryAll() {
    for (const upload of this.#uploads) if (isWorthAnotherTry(upload)) upload.resume();
  }

  /**
   * All that are not at rest, and those that failed and have left a session behind. Resolves when
   * the server has been told.
   */
  async cancelAll() {
    const doomed = this.uploads.filter(
      (upload) => !isAtRest(upload.phase) || (upload.phase === "failed" && upload.status.session),
    );
    await Promise.all(doomed.map((upload) => upload.cancel()));
  }

  /** @type {Turn} */
  #turn = (work, signal) => this.#sending.add(work, { signal });

  /** @type {Company} */
  #company = {
    alone: (content, work, signal) => this.#contents.alone(content, work, signal),
    isFree: (content) => this.#contents.isFree(content),
    hasTwin: (upload) => this.#hasTwin(upload),
    watch: (work, signal) => this.#watching.add(work, { signal }),
    shares: (sessionId, upload) => this.#isNeeded(sessionId, upload),
  };

  /** @param {UploadHandle} upload */
  #hasTwin(upload) {
    for (const other of this.#uploads) {
      if (other !== upload && other.size === upload.size && !isAtRest(other.phase)) return true;
    }
    return false;
  }

  /**
   * @param {string} sessionId
   * @param {UploadHandle} but
   */
  #isNeeded(sessionId, but) {
    for (const upload of this.#uploads) {
      if (upload === but || upload.phase === "cancelled") continue;
      if (upload.sessionId === sessionId) return true;
    }
    return false;
  }

  /**
   * The upload of this page that is at that session already, paused perhaps: a second one
   * beside it would send everything twice.
   *
   * @param {SessionToResume} session
   */
  #working({ id }) {
    const found = this.find(id);
    return found?.status.session?.id === id && !isAtRest(found.phase) ? found : null;
  }

  /** @param {Upload} upload */
  #changed(upload) {
    this.#batch.follow(upload);
    this.dispatchEvent(new CustomEvent("change", { detail: upload }));
  }
}

/** @param {Upload} upload */
function isWorthAnotherTry({ phase, status }) {
  return phase === "failed" && !needsTheFile(status.error) && !isFinal(status.error);
}

/** @param {number} files */
function checkedFiles(files) {
  if (Number.isInteger(files) && files >= 1 && files <= MOST_FILES_AT_ONCE) return files;
  throw new RangeError(`1 to ${MOST_FILES_AT_ONCE} files are sent at once, not ${files}`);
}
