/** The uploads of one page: hashed one after another, sent a few at a time. No DOM. */

import { DEFAULT_LIMIT, WorkerQueue } from "./queue.js";
import { Upload } from "./upload.js";

/** @import { SessionToResume, SourceFile, Turn, UploaderOptions, UploadPhase } from "./types.d.ts" */

/** Two keep the line full while one of them is being verified; more would share it thinly. */
const FILES_AT_ONCE = 2;

/**
 * Leaving the page now would interrupt the work. Not so while verifying, which the server
 * does alone, nor while paused.
 *
 * @type {UploadPhase[]}
 */
const BUSY = ["waiting", "checking", "sending", "retrying", "offline"];

/** @type {UploadPhase[]} */
const AT_REST = ["done", "failed", "cancelled"];

/** Events: `change`, a CustomEvent whose `detail` is the upload that changed. */
export class Uploader extends EventTarget {
  #options;
  #sending;
  /** @type {Upload[]} */
  #uploads = [];

  /** @param {UploaderOptions} options */
  constructor({ files = FILES_AT_ONCE, ...options }) {
    super();
    this.#options = options;
    this.#sending = new WorkerQueue({ limit: files });
  }

  /** In the order they were added. */
  get uploads() {
    return [...this.#uploads];
  }

  /** Whether leaving the page would interrupt anything. */
  get busy() {
    return this.#uploads.some(({ status }) => BUSY.includes(status.phase));
  }

  /**
   * Begins at once: the file is hashed when the ones before it are, and sent in its turn.
   *
   * @param {SourceFile} file
   * @param {{ session?: SessionToResume | null }} [options] the interrupted session it continues
   */
  add(file, { session = null } = {}) {
    const present = session && this.#working(session);
    if (present) {
      present.resume();
      return present;
    }
    const { parallel = DEFAULT_LIMIT } = this.#options;
    const upload = new Upload({ ...this.#options, file, session, parallel, turn: this.#turn });
    this.#uploads.push(upload);
    upload.addEventListener("change", () => this.#changed(upload));
    upload.start();
    this.#changed(upload);
    return upload;
  }

  /**
   * Forgets an upload that is at rest; its session, if it has one, stays at the server.
   *
   * @param {Upload} upload
   */
  remove(upload) {
    if (!AT_REST.includes(upload.status.phase)) return;
    this.#uploads = this.#uploads.filter((other) => other !== upload);
    this.#changed(upload);
  }

  /** @type {Turn} */
  #turn = (work, signal) => this.#sending.add(work, { signal });

  /**
   * The upload of this page that is at that session already, paused perhaps: a second one
   * beside it would send everything twice.
   *
   * @param {SessionToResume} session
   */
  #working({ id }) {
    return this.#uploads.find(
      ({ status }) => status.session?.id === id && !AT_REST.includes(status.phase),
    );
  }

  /** @param {Upload} upload */
  #changed(upload) {
    this.dispatchEvent(new CustomEvent("change", { detail: upload }));
  }
}
