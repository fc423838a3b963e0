/**
 * The chosen file, watched for change: what is sent must be the very bytes that were hashed,
 * or the result is a splice of two files.
 */

import { sourceChanged, wrongFile } from "./errors.js";
import { Passage } from "./passage.js";

/**
 * @import {
 *   Chunk, ChunksToCompare, Hasher, HashOptions, SessionToResume, SourceFile, WrongFileValues
 * } from "./types.d.ts"
 * @import { PassageOptions } from "./passage.js"
 */

export class Source {
  #hasher;
  #size;
  #lastModified;
  /** Of chunks not yet acknowledged, to notice when a second reading differs. */
  #digests = /** @type {Map<number, string>} */ (new Map());
  /** @type {Passage | null} */
  #passage = null;

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
    /** Lowercase hex, once `check` or `pass` is through. */
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
   * The same while the file is sent: its chunks are read no second time, as far as they are sent soon after
   * they were hashed.
   *
   * @param {PassageOptions} options
   */
  async pass(options) {
    this.assertUnchanged();
    const passage = new Passage(this.file, this.#hasher, options);
    this.#passage = passage;
    const sha256 = await passage.hash;
    // A stream may have been opened before the file changed, and go on.
    await this.#assertReadable();
    this.sha256 = sha256;
  }

  /** What was cut out of the file and is not sent yet is let go. */
  endPassage() {
    this.#passage = null;
  }

  /**
   * What makes the file known again before it is hashed, on another day too.
   *
   * @param {string} folder
   * @returns {Promise<string>} of a length that does not depend on the name's
   */
  async key(folder) {
    const facts = [folder, this.file.name, this.#size, this.#lastModified];
    const key = await this.#hasher.fingerprint(new Blob([JSON.stringify(facts)]));
    await this.#assertReadable();
    return key;
  }

  /**
   * Whether the file has the very bytes that the server has of it.
   *
   * @param {ChunksToCompare} received
   * @param {AbortSignal} signal
   */
  async matches({ chunks }, signal) {
    for (const { offset, length, blake3 } of chunks) {
      this.assertUnchanged();
      const bytes = this.file.slice(offset, offset + length);
      if ((await this.#hasher.fingerprint(bytes, { signal })) !== blake3) return false;
    }
    return true;
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
   * A chunk with what it is sent with: cut out of the file as it was hashed, or as it lies on disk. Then
   * nothing is held in memory: the hasher reads the slice, and whoever sends it reads it again.
   *
   * @param {Chunk} chunk
   * @param {AbortSignal} signal
   * @returns {Promise<{ body: Blob | Uint8Array<ArrayBuffer>, digest: string }>}
   */
  async read(chunk, signal) {
    this.assertUnchanged();
    const before = this.#digests.get(chunk.index);
    const passing = before === undefined ? await this.#passage?.take(chunk) : null;
    this.#passage?.forget(chunk.index);
    // `pass` would find out as well, but only in the end.
    if (passing) await this.#assertReadable();
    const body = passing?.bytes ?? this.file.slice(chunk.start, chunk.end);
    const digest = passing?.digest ?? (await this.#digest(chunk, signal));
    this.assertUnchanged();
    if (before !== undefined && before !== digest) throw sourceChanged();
    this.#digests.set(chunk.index, digest);
    return { body, digest };
  }

  /**
   * That of an only chunk is the file's own, known already; should it not arrive, a second reading tells
   * whether it changed.
   *
   * @param {Chunk} chunk
   * @param {AbortSignal} signal
   */
  async #digest(chunk, signal) {
    const isAll = chunk.size === this.#size && this.sha256 !== "";
    if (!isAll) return this.#hasher.digest(this.file.slice(chunk.start, chunk.end), { signal });
    const again = this.#digests.has(chunk.index);
    return asDigest(again ? await this.#hasher.hashFile(this.file, { signal }) : this.sha256);
  }

  /** @param {number} index */
  release(index) {
    this.#digests.delete(index);
    this.#passage?.forget(index);
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

  /**
   * As far as the hashes of both are known.
   *
   * @param {SessionToResume} session
   */
  assertContentOf(session) {
    if (session.sha256 === null || !this.sha256 || session.sha256 === this.sha256) return;
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

/**
 * The value of `Content-Digest`, RFC 9530.
 *
 * @param {string} hex a SHA-256
 */
function asDigest(hex) {
  const bytes = hex.match(/../g) ?? [];
  return `sha-256=:${btoa(String.fromCharCode(...bytes.map((byte) => Number.parseInt(byte, 16))))}:`;
}
