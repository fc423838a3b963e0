/**
 * The chosen file, watched for change: what is sent must be the very bytes that were hashed,
 * or the result is a splice of two files.
 */

import { sourceChanged, wrongFile } from "./errors.js";

/**
 * @import {
 *   Chunk, Hasher, HashOptions, SessionToResume, SourceFile, WrongFileValues
 * } from "./types.d.ts"
 */

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
    this.assertUnchanged();
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
   * reads the slice, and whoever sends it reads it again. The digest of an only chunk is the
   * file's own, known already; should it not arrive, a second reading tells whether it changed.
   *
   * @param {Chunk} chunk
   * @param {AbortSignal} signal
   * @returns {Promise<{ body: Blob, digest: string }>}
   */
  async read(chunk, signal) {
    this.assertUnchanged();
    const body = this.file.slice(chunk.start, chunk.end);
    const before = this.#digests.get(chunk.index);
    const known = before === undefined && chunk.size === this.#size;
    const digest = known
      ? base64(this.sha256)
      : await this.#hasher.digest(body, { signal });
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
    const { size, offset = 0 } = session;
    if (size === null && this.#size < offset) throw this.#wrong("shorter", session, offset);
    if (size !== null && this.#size !== size) throw this.#wrong("size", session, size);
  }

  /** @param {SessionToResume} session */
  assertContentOf(session) {
    if (session.sha256 === null || session.sha256 === this.sha256) return;
    throw this.otherContentThan(session);
  }

  /** @param {SessionToResume} session */
  otherContentThan(session) {
    return this.#wrong("content", session, session.size ?? this.#size);
  }

  /**
   * @param {WrongFileValues["reason"]} reason
   * @param {SessionToResume} session
   * @param {number} expectedSize
   */
  #wrong(reason, { filename: expected }, expectedSize) {
    const { name: filename } = this.file;
    return wrongFile({ reason, filename, size: this.#size, expected, expectedSize });
  }
}

/** @param {string} hex */
function base64(hex) {
  const bytes = hex.match(/../g) ?? [];
  return btoa(String.fromCharCode(...bytes.map((byte) => Number.parseInt(byte, 16))));
}
