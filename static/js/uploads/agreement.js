/**
 * Which session of the server a file belongs to: asked for, found or opened, compared with the file, and
 * told its hash (ADR 29).
 */

import { UploadError } from "./errors.js";
import { isStale } from "./retry.js";

/**
 * @import { SessionInfo, SessionToResume, Transport } from "./types.d.ts"
 * @import { Source } from "./source.js"
 */

/** For a server that does not say why an upload failed. */
const NOT_AS_ANNOUNCED =
  "What arrived is not the file that was announced: it may have been changed while it was sent. " +
  "Nothing of it was kept.";

/** Refusals for want of room, which content that the server has already does not need. */
const NO_ROOM = ["quota_exceeded", "storage_full"];

/** The person cancelled the session elsewhere. */
export class CancelledElsewhere extends Error {}

/** Only the hash of the file can tell which session is its own. */
export class MustBeHashed extends Error {}

/**
 * @typedef {object} Surroundings
 * @property {Source} source
 * @property {Transport} transport
 * @property {string} folder
 * @property {<T>(attempt: (signal: AbortSignal) => Promise<T>, signal: AbortSignal) =>
 *   Promise<T>} persist runs a request with retries
 * @property {(sessionId: string) => boolean} isShared whether others are at that session
 * @property {() => boolean} hasArrived whether any chunk was sent
 * @property {() => void} onCompare the file is about to be compared
 * @property {(session: SessionInfo) => void} onSession how things are, by the server's word
 */

export class Agreement {
  #around;
  #source;
  #transport;
  #folder;
  #persist;
  /** The session was begun under our key, and the hash is declared by it. */
  #isKeyed = false;
  #renewed = false;

  /** The session that this file certainly belongs to. @type {SessionInfo | null} */
  session = null;
  /** What the file is known by before its hash is; empty while that was not asked for. */
  key = "";
  /** The session was begun under another name, and keeps it. */
  isBorrowed = false;
  /** The file is being compared with what the server has of it. */
  isComparing = false;
  /** The server had the content already, however much of it was sent before that was known. */
  existed = false;

  /**
   * @param {SessionToResume | null} offered
   * @param {Surroundings} around
   */
  constructor(offered, around) {
    this.#around = around;
    this.#source = around.source;
    this.#transport = around.transport;
    this.#folder = around.folder;
    this.#persist = around.persist;
    /** The session to continue, until the file is known to be its own. */
    this.offered = offered;
  }

  /** The session that the file belongs to, or is meant to. */
  get known() {
    return this.session ?? this.offered;
  }

  /** A new run may find its session gone once more. */
  restart() {
    this.#renewed = false;
  }

  /**
   * Learns what the server lacks, from the session there is or else from a new one.
   *
   * @param {AbortSignal} signal
   */
  async agree(signal) {
    const { known } = this;
    if (known) {
      try {
        const ask = (/** @type {AbortSignal} */ either) =>
          this.#transport.ask(known, { signal: either });
        const found = await this.#persist(ask, signal);
        if (this.offered) await this.#compare(found, signal);
        const session = await this.#sized(found, signal);
        if (!this.isOver(this.accept(session))) return await this.#declared(session, signal);
      } catch (error) {
        if (!isStale(error) || error.status === 409) throw error;
        this.#renew(error);
      }
    }
    return this.#source.sha256 ? this.handshake(signal) : this.#open(signal);
  }

  /**
   * The session that was begun before its hash was known, with that hash: or another one, of the same
   * content.
   *
   * @param {SessionInfo} session
   * @param {AbortSignal} signal
   */
  async #declared(session, signal) {
    const isDue = this.#isKeyed && this.#source.sha256 !== "" && session.sha256 === null;
    return isDue ? this.handshake(signal, session) : session;
  }

  /**
   * A session without a declared hash does not tell which file it is of. Chunks that it has do. The first,
   * the last and some between show most changes; the rest are found when the whole is verified.
   *
   * @param {SessionInfo} session
   * @param {AbortSignal} signal
   */
  async #compare(session, signal) {
    this.#source.assertSizeOf(session);
    this.#source.assertContentOf(session);
    if (session.state !== "active") return;
    if (session.sha256 !== null && !this.#source.sha256) throw new MustBeHashed();
    if (!(await this.#mayContinue(session, signal))) throw this.#source.otherContentThan(session);
  }

  /**
   * @param {SessionInfo} session that is active
   * @param {AbortSignal} signal
   */
  async #mayContinue(session, signal) {
    if (session.sha256 !== null || session.received_chunks === 0) return true;
    this.isComparing = true;
    this.#around.onCompare();
    const ask = (/** @type {AbortSignal} */ either) =>
      this.#transport.check(session, { signal: either });
    try {
      return await this.#source.matches(await this.#persist(ask, signal), signal);
    } finally {
      this.isComparing = false;
    }
  }

  /**
   * A stream whose end nobody had declared ends where this file does; only then is it known what
   * is missing. What the server has of a chunk that is not whole, it drops when that is sent.
   *
   * @param {SessionInfo} session of which this file is, as far as that can be told
   * @param {AbortSignal} signal
   */
  async #sized(session, signal) {
    if (session.size !== null || session.state !== "active") return session;
    this.#source.assertUnchanged();
    const declare = (/** @type {AbortSignal} */ either) =>
      this.#transport.declareSize(session, this.#source.size, { signal: either });
    return this.#persist(declare, signal);
  }

  /**
   * The session under the file's key. What may be of another file is left to the hash to tell apart.
   *
   * @param {AbortSignal} signal
   */
  async #open(signal) {
    const session = await this.#persist(() => this.#offerUnhashed(), signal);
    this.#isKeyed = session.status === "created" || (await this.#mayBeOurs(session, signal));
    if (!this.#isKeyed) throw new MustBeHashed();
    return this.accept(session);
  }

  async #offerUnhashed() {
    try {
      return await this.#offer({ resume_key: this.key });
    } catch (error) {
      const noRoom = error instanceof UploadError && NO_ROOM.includes(error.code);
      throw noRoom ? new MustBeHashed() : error;
    }
  }

  /**
   * @param {SessionInfo} session
   * @param {AbortSignal} signal
   */
  async #mayBeOurs(session, signal) {
    const isUndeclared = session.state === "active" && session.sha256 === null;
    return isUndeclared && this.#mayContinue(session, signal);
  }

  /**
   * The session of this content, open or complete: the hash is declared.
   *
   * @param {AbortSignal} signal
   * @param {SessionInfo} [begun] under the file's key; unless it is the one that is found, it goes
   */
  async handshake(signal, begun) {
    const { sha256 } = this.#source;
    const known = begun ? { sha256, resume_key: this.key } : { sha256 };
    const session = await this.#persist(() => this.#offer(known), signal);
    const isAnother = begun !== undefined && begun.id !== session.id;
    if (isAnother) await this.#drop(begun, signal);
    // Its own may be complete by chunks whose answers were lost.
    const existed = session.status === "file_exists";
    if (existed && (isAnother || !this.#around.hasArrived())) this.existed = true;
    this.isBorrowed = session.status === "resumed" && !this.#isOurs(session);
    return this.accept(session);
  }

  /**
   * The request itself is not aborted: a session that the server opened unknown to us
   * could not be cancelled, and would lie in the list as interrupted.
   *
   * @param {{ sha256?: string, resume_key?: string }} known
   */
  #offer(known) {
    this.#source.assertUnchanged();
    const { file, size } = this.#source;
    return this.#transport.handshake({
      filename: file.name,
      ...(this.#folder && { folder: this.#folder }),
      size,
      ...known,
      ...(file.type && { mime_type: file.type }),
    });
  }

  /**
   * The server knows the content by another session: nothing of this one may stay in the list.
   *
   * @param {SessionInfo} begun
   * @param {AbortSignal} signal
   */
  async #drop(begun, signal) {
    if (this.#around.isShared(begun.id)) return;
    await this.#persist(() => this.#transport.cancel(begun), signal);
  }

  /**
   * Makes the session ours, once it is certain that it is about this very file.
   *
   * @param {SessionInfo} session
   */
  accept(session) {
    this.#source.assertSizeOf(session);
    this.#source.assertContentOf(session);
    this.offered = null;
    this.session = session;
    this.#around.onSession(session);
    return session;
  }

  /** @param {SessionInfo} session */
  #isOurs({ filename, folder }) {
    const name = this.#source.file.name.normalize();
    return filename.normalize() === name && folder.normalize() === this.#folder.normalize();
  }

  /**
   * Whether the session has expired, so that another must be opened; throws when it is over for
   * another reason.
   *
   * @param {SessionInfo} session
   */
  isOver({ state, error, refused }) {
    if (state === "cancelled") throw new CancelledElsewhere();
    if (state === "expired") this.#renew();
    if (state !== "failed") return state === "expired";
    this.session = null;
    this.#source.doubt();
    if (refused && error) throw new UploadError(error, { code: "content_refused", values: { error } });
    throw new UploadError(`${error ?? NOT_AS_ANNOUNCED} Try again to send it anew.`, {
      code: "verification_failed",
      values: { error: error ?? null },
    });
  }

  /**
   * Forgets a session that is gone, so that a new one is opened in its place; once, for a
   * server that forgets every session would be sent the file for ever.
   *
   * @param {UploadError} [cause]
   */
  #renew(cause) {
    if (cause?.code === "session_cancelled") throw new CancelledElsewhere();
    this.session = this.offered = null;
    if (this.#renewed) {
      throw new UploadError("The server has dropped this upload twice. Resume to try again.", {
        code: "session_gone",
        cause,
      });
    }
    this.#renewed = true;
  }
}
