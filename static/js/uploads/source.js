/**
 * The chosen file, watched for change: what is sent must be the very bytes that were hashed,
 * or the result is a splice of two files.
 */

import { sourceChanged, UploadError } from "./errors.js";

/** @import { Chunk, Hasher, HashOptions, SessionToResume, SourceFile } from "./types.d.ts" */

export class Source {
  #hasher;
  #size;
  #lastModified;
  /** Of chunks not yet acknowledged, to notice when a second reading differs. */
  #digests = /** @type {Map<number, string>} */ (new Map());

  /**
   * @param {SourceFile} file
   * @param {Hasher} hasher
   */
  constructor(file, hasher) {
    this.file = file;
    this.#hasher = hasher;
    // Some browsers ask the disk each time, so these are remembered from the start.
    this.#size = file.size;
    this.#lastModified = file.lastModified;
    /** Lowercase hex, once `check` is through. */
    this.sha256 = "";
  }

  get size() {
    return this.#size;
  }

  /**
   * Hashes the whole file, once.
   *
   * @param {HashOptions} options
   */
  async check(options) {
    await this.#assertReadable();
    this.sha256 ||= await this.#hasher.hashFile(this.file, options);
    await this.#assertReadable();
  }

  /**
   * Reading asks the disk, even where size and date of a chosen file are as they were remembered.
   * The hash of a file that changed while it was read is that of none.
   */
  async #assertReadable() {
    this.assertUnchanged();
    try {
      await this.file.slice(0, 1).arrayBuffer();
    } catch (error) {
      this.doubt();
      throw sourceChanged(error);
    }
  }

  /** Makes the next `check` hash again, when the content has come into doubt. */
  doubt() {
    this.sha256 = "";
  }

  /**
   * A chunk as it lies on disk, with its digest. Nothing is held in memory: the hasher
   * reads the slice, and whoever sends it reads it again.
   *
   * @param {Chunk} chunk
   * @param {AbortSignal} signal
   * @returns {Promise<{ body: Blob, digest: string }>}
   */
  async read(chunk, signal) {
    this.assertUnchanged();
    const body = this.file.slice(chunk.start, chunk.end);
    const digest = await this.#hasher.digest(body, { signal });
    const before = this.#digests.get(chunk.index);
    if (before !== undefined && before !== digest) throw sourceChanged();
    this.#digests.set(chunk.index, digest);
    return { body, digest };
  }

  /** @param {number} index */
  release(index) {
    this.#digests.delete(index);
  }

  assertUnchanged() {
    const { size, lastModified } = this.file;
    if (size !== this.#size || lastModified !== this.#lastModified) throw sourceChanged();
  }

  /** @param {SessionToResume} session */
  assertSizeOf(session) {
    if (session.size === this.#size) return;
    throw wrongFile(
      `the interrupted upload expects ${count(session.size)} bytes, ` +
        `“${this.file.name}” has ${count(this.#size)}`,
    );
  }

  /** @param {SessionToResume} session */
  assertContentOf(session) {
    if (session.sha256 === null || session.sha256 === this.sha256) return;
    throw this.otherContentThan(session);
  }

  /** @param {SessionToResume} session */
  otherContentThan(session) {
    return wrongFile(
      session.filename === this.file.name
        ? `“${this.file.name}” has the same name but other content`
        : `“${this.file.name}” has other content than “${session.filename}”`,
    );
  }
}

/** @param {string} difference */
function wrongFile(difference) {
  return new UploadError(
    `This is another file, or it has changed: ${difference}. What the server has is as it was. ` +
      "Choose the file that the upload was begun with, or cancel it and send this one anew.",
    { code: "wrong_file" },
  );
}

/** @param {number} bytes */
function count(bytes) {
  return bytes.toLocaleString("en");
}
