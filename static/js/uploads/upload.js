/**
 * One file on its way to the server: hash it, agree with the server on what is missing,
 * send that, see it verified. A large file is hashed while it is sent (ADR 29). Knows neither HTTP nor the
 * page.
 */

import { Delivery } from "./delivery.js";
import { asUploadError, UploadError } from "./errors.js";
import { HeldTurn } from "./held-turn.js";
import { DEFAULT_LIMIT } from "./queue.js";
import { Backoff, isStale, persist } from "./retry.js";
import { withDefaults } from "./seams.js";
import { Source } from "./source.js";
import { SpeedMeter } from "./speed.js";
import { untilVerified } from "./verdict.js";

/**
 * @import {
 *   ChunkReceipt, Company, SessionInfo, SessionToResume, Turn, UploadHandle,
 *   UploadOptions, UploadPhase, UploadStatus
 * } from "./types.d.ts"
 * @import { Wait } from "./retry.js"
 */

/** Disks that damage the same upload more often than this will not get better. */
const MAX_REPAIRS = 5;

/** How often the server may be asked what it holds without anything having arrived since. */
const MAX_FRUITLESS_QUESTIONS = 3;

/** Refusals for want of room, which content that the server has already does not need. */
const NO_ROOM = ["quota_exceeded", "storage_full"];

/** A cancelled session that the server never hears of expires by itself. */
const CANCEL_TRIES = 5;

/** For a server that does not say why an upload failed. */
const NOT_AS_ANNOUNCED =
  "What arrived is not the file that was announced: it may have been changed while it was sent. " +
  "Nothing of it was kept.";

/** @type {UploadPhase[]} */
const UNDER_WAY = ["waiting", "checking", "sending", "verifying"];

/** @type {Turn} */
const AT_ONCE = (work, signal) => work(signal);

/** @type {Company} */
const NO_COMPANY = {
  alone: (_, work, signal) => work(signal),
  isFree: () => true,
  hasTwin: () => false,
  watch: AT_ONCE,
  shares: () => false,
};

/** Thrown within a run when the person cancelled the session elsewhere. */
class CancelledElsewhere extends Error {}

/** Thrown within a run when only the hash of the file can tell which session is its own. */
class MustBeHashed extends Error {}

/** @implements {UploadHandle} */
export class Upload extends EventTarget {
  #source;
  #transport;
  #seams;
  #turn;
  /** @type {Company} */
  #company;
  #delivery;
  #speed;

  /** What the upload is at; `status.phase` adds what it may be waiting for. */
  #stage = /** @type {UploadPhase} */ ("waiting");
  #checked = 0;
  /** With what the server has of it. */
  #comparing = false;
  /** All is sent but the hash, which the upload waits for now. */
  #awaitsHash = false;
  #existed = false;
  /** The session was begun under another name, and keeps it. */
  #borrowed = false;
  #withdrawn = false;
  /** @type {UploadError | null} */
  #error = null;
  /** The session to continue, until the file is known to be its own. */
  #offered = /** @type {SessionToResume | null} */ (null);
  /** The session that this file certainly belongs to. */
  #session = /** @type {SessionInfo | null} */ (null);
  /** What the file is known by before its hash is; empty while that was not asked for. */
  #key = "";
  /** The session was begun under that key, and the hash is declared by it. */
  #isKeyed = false;
  /** @type {Set<Wait>} */
  #waits = new Set();

  /** Ends the run under way. @type {AbortController | null} */
  #controller = null;
  /** Settles when no run is under way. @type {Promise<unknown>} */
  #rest = Promise.resolve();

  /** Grows with each acknowledged chunk. */
  #arrivals = 0;
  #arrivalsAtQuestion = 0;
  #fruitless = 0;
  #repairs = 0;
  #renewed = false;

  /** @param {UploadOptions} options */
  constructor(options) {
    super();
    this.#source = new Source(options.file, options.hasher);
    this.#transport = options.transport;
    this.#seams = withDefaults(options);
    this.#turn = new HeldTurn(options.turn ?? AT_ONCE);
    this.#company = options.company ?? NO_COMPANY;
    /** Relative, "photos/2026"; empty for a file on its own. */
    this.folder = options.folder ?? "";
    this.#offered = options.session ?? null;
    this.#speed = new SpeedMeter(this.#seams.clock);
    this.#delivery = new Delivery({
      source: this.#source,
      transport: this.#transport,
      parallel: options.parallel ?? DEFAULT_LIMIT,
      persist: (attempt, signal) => this.#persist(attempt, signal),
      onSent: (bytes) => {
        this.#speed.add(bytes);
        options.onSent?.(bytes);
      },
      onReceipt: (receipt) => this.#note(receipt),
      onChange: () => this.#changed(),
    });
  }

  get file() {
    return this.#source.file;
  }

  get size() {
    return this.#source.size;
  }

  get parallel() {
    return this.#delivery.parallel;
  }

  set parallel(parallel) {
    this.#delivery.parallel = parallel;
  }

  get inFlight() {
    return this.#delivery.inFlight;
  }

  get sessionId() {
    return (this.#session ?? this.#offered)?.id ?? null;
  }

  /** @returns {UploadStatus} */
  get status() {
    const { phase } = this;
    const total = this.#source.size;
    const acknowledged = this.#stage === "done" ? total : this.#delivery.acknowledged;
    const sent = acknowledged + this.#delivery.bytesInFlight;
    const speed = phase === "sending" ? this.#speed.rate : 0;
    return {
      phase,
      filename: this.file.name,
      folder: this.folder,
      total,
      checked: this.#checked,
      comparing: this.#comparing,
      acknowledged,
      sent,
      speed,
      timeLeft: speed > 0 ? (total - sent) / speed : null,
      retryAt: phase === "retrying" ? this.#nextAttempt : null,
      error: phase === "retrying" || phase === "offline" ? this.#lastObstacle : this.#error,
      existed: this.#existed,
      session: this.#session,
    };
  }

  start() {
    return this.#begin();
  }

  /**
   * Goes on after `pause()` or after a failure, and asks the server first what it holds; while
   * it waits to try again, it tries now.
   */
  resume() {
    for (const wait of this.#waits) wait.end();
    return this.#begin();
  }

  /** Aborts what is in flight and keeps what is acknowledged. */
  pause() {
    if (!UNDER_WAY.includes(this.#stage)) return;
    this.#stop("paused");
  }

  /**
   * Ends the upload and drops its session at the server. A session that this file was only
   * offered to, or content that was complete already, is left alone.
   */
  async cancel() {
    if (this.#stage === "done" || this.#stage === "cancelled") return this.status;
    this.#stop("cancelled");
    // A run under way withdraws before it lets go; the last answer may have been on its way: then
    // the file is there, and stays.
    await this.#rest;
    if (this.#session) await this.#withdrawAtRest(this.#session);
    return this.status;
  }

  // ------------------------------------------------------------------ runs

  /** @returns {Promise<UploadStatus>} */
  async #begin() {
    if (this.#stage === "done" || this.#stage === "cancelled") return this.status;
    if (this.#controller === null) {
      const controller = new AbortController();
      this.#controller = controller;
      this.#fruitless = this.#repairs = 0;
      this.#renewed = false;
      this.#enter("waiting");
      // An aborted run may still be letting go of what it held.
      this.#rest = this.#rest.then(() => this.#run(controller));
    }
    // Paused and resumed before the old run was through: what counts is how it ends.
    do {
      await this.#rest;
    } while (this.#controller !== null);
    return this.status;
  }

  /** @param {AbortController} controller */
  async #run(controller) {
    try {
      await this.#go(controller.signal);
    } catch (error) {
      // An aborted run has been given its stage by whoever aborted it.
      if (!controller.signal.aborted) this.#fail(error);
    } finally {
      this.#turn.leave();
      this.#source.endPassage();
      if (this.#controller === controller) this.#controller = null;
    }
  }

  /** @param {"paused" | "cancelled"} stage */
  #stop(stage) {
    const controller = this.#controller;
    this.#controller = null;
    this.#enter(stage);
    controller?.abort();
  }

  /** @param {unknown} error */
  #fail(error) {
    if (error instanceof CancelledElsewhere) return this.#enter("cancelled");
    this.#enter("failed", asUploadError(error));
  }

  // ----------------------------------------------------------------- steps

  /** @param {AbortSignal} signal */
  async #go(signal) {
    signal.throwIfAborted();
    if (this.#offered) this.#source.assertSizeOf(this.#offered);
    if (this.#mustBeHashed) await this.#check(signal);
    else this.#key ||= await this.#source.key(this.folder);
    signal.throwIfAborted();
    await this.#byKey((alone) => this.#finished(alone), signal);
  }

  /**
   * Before anything is sent: a small file, one whose session has a declared hash, and one that may be equal
   * to another that is being sent.
   */
  get #mustBeHashed() {
    const declared = (this.#session ?? this.#offered)?.sha256;
    return (
      this.#source.sha256 !== "" ||
      Boolean(declared) ||
      this.#transport.hashesFirst(this.size) ||
      this.#company.hasTwin(this)
    );
  }

  /**
   * Runs `work` when no other upload of the page is at a file with this key.
   *
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} work
   * @param {AbortSignal} signal
   */
  #byKey(work, signal) {
    return this.#key ? this.#company.alone(this.#key, work, signal) : work(signal);
  }

  /**
   * Before another upload of this file or content may begin, a session that was cancelled has to be gone:
   * the other would continue it.
   *
   * @param {AbortSignal} signal
   */
  async #finished(signal) {
    try {
      if (!this.#source.sha256) await this.#sendUnhashed(signal);
      const { sha256 } = this.#source;
      // Whoever is at this content may need a turn, too.
      if (!this.#company.isFree(sha256)) this.#turn.leave();
      await this.#company.alone(sha256, (alone) => this.#deliver(alone), signal);
    } finally {
      await this.#withdrawIfCancelled();
    }
  }

  /** @param {AbortSignal} signal */
  async #check(signal) {
    await this.#source.check({ signal, onProgress: (bytes) => this.#hashed(bytes) });
    signal.throwIfAborted();
    this.#checked = this.size;
    if (this.#offered) this.#source.assertContentOf(this.#offered);
    this.#enter("waiting");
  }

  /**
   * Sends what is missing while the file is hashed, and ends when its hash is known; whether all is sent by
   * then depends on the line.
   *
   * @param {AbortSignal} signal
   */
  async #sendUnhashed(signal) {
    try {
      await this.#turn.take(signal);
      // Another may have come meanwhile.
      if (this.#mustBeHashed) throw new MustBeHashed();
      const session = await this.#agree(signal);
      if (session.state === "active") await this.#sendAndHash(session, signal);
    } catch (error) {
      if (!(error instanceof MustBeHashed)) throw error;
    }
    if (this.#source.sha256) return;
    this.#turn.leave();
    await this.#check(signal);
  }

  /**
   * @param {SessionInfo} session
   * @param {AbortSignal} signal
   */
  async #sendAndHash(session, signal) {
    const stop = new AbortController();
    const either = AbortSignal.any([signal, stop.signal]);
    const hashing = this.#hash(session, either);
    hashing.then(
      () => this.#delivery.drain(),
      (error) => stop.abort(error),
    );
    try {
      await this.#bring(session, either);
    } catch (error) {
      stop.abort(error);
      await hashing.catch(() => {});
      throw error;
    }
    await this.#untilHashed(hashing);
  }

  /**
   * @param {SessionInfo} session
   * @param {AbortSignal} signal
   */
  #hash({ chunk_size }, signal) {
    return this.#source.pass({
      chunkSize: chunk_size,
      wanted: () => this.#delivery.missing,
      onProgress: (bytes) => this.#passed(bytes),
      signal,
    });
  }

  /** @param {Promise<void>} hashing */
  async #untilHashed(hashing) {
    if (!this.#source.sha256) {
      this.#turn.leave();
      this.#enter("waiting");
    }
    this.#awaitsHash = true;
    try {
      await hashing;
      this.#checked = this.size;
    } finally {
      this.#awaitsHash = false;
    }
  }

  /** @param {AbortSignal} signal */
  async #deliver(signal) {
    try {
      await this.#arrive(signal);
      this.#enter("done");
    } finally {
      await this.#withdrawIfCancelled();
    }
  }

  /** @param {AbortSignal} signal */
  async #arrive(signal) {
    // Where all is in, there is only the hash to declare, and nobody is kept from sending.
    let known = this.#isAllIn ? await this.#agree(signal) : null;
    do {
      signal.throwIfAborted();
      const whole = await this.#inTurn(known, signal);
      known = whole.state === "completed" ? whole : await this.#finish(whole, signal);
      // What the server has complete it gives an entry under our own name too.
      if (known?.state === "completed" && this.#borrowed) known = await this.#handshake(signal);
    } while (known?.state !== "completed");
  }

  get #isAllIn() {
    return this.#session?.state === "active" && this.#delivery.missing.length === 0;
  }

  /**
   * A turn lasts while chunks are sent; the server verifies without keeping anybody waiting.
   *
   * @param {SessionInfo | null} known as just heard from the server; null to ask
   * @param {AbortSignal} signal
   */
  async #inTurn(known, signal) {
    if (known && !lacksChunks(known)) return known;
    if (!this.#turn.isHeld) this.#enter("waiting");
    await this.#turn.take(signal);
    try {
      return await this.#bring(known, signal);
    } finally {
      this.#turn.leave();
    }
  }

  /**
   * Until nothing is missing, or the hash has become known on the way.
   *
   * @param {SessionInfo | null} known as just heard from the server; null to ask
   * @param {AbortSignal} signal
   */
  async #bring(known, signal) {
    let session = known ?? (await this.#agree(signal));
    const { sha256 } = this.#source;
    while (lacksChunks(session) && this.#source.sha256 === sha256) {
      signal.throwIfAborted();
      const sent = await this.#unlessStale(() => this.#send(session, signal));
      session = sent ?? (await this.#agree(signal));
    }
    return session;
  }

  /**
   * @template T
   * @param {() => Promise<T>} step
   * @returns {Promise<T | null>} null when the server has to be asked how things are
   */
  async #unlessStale(step) {
    try {
      return await step();
    } catch (error) {
      if (!isStale(error)) throw error;
      this.#countQuestion(error);
      return null;
    }
  }

  /**
   * Learns what the server lacks, from the session there is or else from a new one.
   *
   * @param {AbortSignal} signal
   */
  async #agree(signal) {
    const known = this.#session ?? this.#offered;
    if (known) {
      try {
        const ask = (/** @type {AbortSignal} */ either) =>
          this.#transport.ask(known, { signal: either });
        const found = await this.#persist(ask, signal);
        if (this.#offered) await this.#compare(found, signal);
        const session = await this.#sized(found, signal);
        if (!this.#isOver(this.#accept(session))) return await this.#declared(session, signal);
      } catch (error) {
        if (!isStale(error) || error.status === 409) throw error;
        this.#renew(error);
      }
    }
    return this.#source.sha256 ? this.#handshake(signal) : this.#open(signal);
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
    return isDue ? this.#handshake(signal, session) : session;
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
    this.#comparing = true;
    this.#enter("checking");
    const ask = (/** @type {AbortSignal} */ either) =>
      this.#transport.check(session, { signal: either });
    try {
      return await this.#source.matches(await this.#persist(ask, signal), signal);
    } finally {
      this.#comparing = false;
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
    return this.#accept(session);
  }

  async #offerUnhashed() {
    try {
      return await this.#offer({ resume_key: this.#key });
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
   * @param {AbortSignal} signal
   * @param {SessionInfo} [begun] under the file's key; unless it is the one that is found, it goes
   */
  async #handshake(signal, begun) {
    const { sha256 } = this.#source;
    const known = begun ? { sha256, resume_key: this.#key } : { sha256 };
    const session = await this.#persist(() => this.#offer(known), signal);
    if (begun && begun.id !== session.id) await this.#drop(begun, signal);
    const existed = session.status === "file_exists";
    if (existed && this.#arrivals === 0) this.#existed = true;
    this.#borrowed = session.status === "resumed" && !this.#isOurs(session);
    return this.#accept(session);
  }

  /**
   * The request itself is not aborted: a session that the server opened unknown to us
   * could not be cancelled, and would lie in the list as interrupted.
   *
   * @param {{ sha256?: string, resume_key?: string }} known
   */
  #offer(known) {
    this.#source.assertUnchanged();
    const { name, type } = this.file;
    return this.#transport.handshake({
      filename: name,
      ...(this.folder && { folder: this.folder }),
      size: this.size,
      ...known,
      ...(type && { mime_type: type }),
    });
  }

  /**
   * The server knows the content by another session: nothing of this one may stay in the list.
   *
   * @param {SessionInfo} begun
   * @param {AbortSignal} signal
   */
  async #drop(begun, signal) {
    if (this.#company.shares(begun.id, this)) return;
    await this.#persist(() => this.#transport.cancel(begun), signal);
  }

  /**
   * @param {SessionInfo} session
   * @param {AbortSignal} signal
   */
  async #send(session, signal) {
    this.#speed.start();
    this.#enter("sending");
    try {
      await this.#delivery.run(session, signal);
    } finally {
      this.#speed.stop();
    }
    const { missing } = this.#delivery;
    return { ...session, state: this.#session?.state ?? session.state, missing };
  }

  /**
   * Asks for completion and waits for the verdict. A server that finds damage goes back to
   * active with chunks missing, and then those are sent.
   *
   * @param {SessionInfo} session
   * @param {AbortSignal} signal
   * @returns {Promise<SessionInfo | null>} null when the server has to be asked how things are
   */
  async #finish(session, signal) {
    signal.throwIfAborted();
    this.#enter("verifying");
    const verdict = await this.#unlessStale(() => this.#verdict(session, signal));
    if (verdict === null || this.#isOver(verdict)) return null;
    if (verdict.state === "active") this.#countRepair();
    return verdict;
  }

  /**
   * Where the hash is declared, the last chunk has set the server to work already.
   *
   * @param {SessionInfo} session
   * @param {AbortSignal} signal
   */
  async #verdict(session, signal) {
    const { sha256 } = this.#source;
    const complete = (/** @type {AbortSignal} */ either) =>
      this.#transport.complete(session, sha256, { signal: either });
    const look = (/** @type {AbortSignal} */ either) =>
      this.#transport.status(session, { signal: either });
    const atWork = session.state === "assembling" && session.sha256 !== null;
    const now = atWork ? session : this.#accept(await this.#persist(complete, signal));
    const means = {
      clock: this.#seams.clock,
      watch: this.#company.watch,
      look: async (/** @type {AbortSignal} */ either) =>
        this.#accept(await this.#persist(look, either)),
    };
    return untilVerified(now, means, signal);
  }

  /**
   * Of an upload that was cancelled while it was at rest. Meanwhile another upload of the page, or
   * another computer, may have completed the session: then the file is there, and stays.
   *
   * @param {SessionInfo} session
   */
  #withdrawAtRest(session) {
    const withdraw = async () => {
      if (this.#stage !== "cancelled" || this.#withdrawn) return;
      if (await this.#isComplete(session)) this.#enter("done");
      else await this.#withdraw(session);
    };
    const { sha256 } = this.#source;
    const { signal } = new AbortController();
    const alone = () => (sha256 ? this.#company.alone(sha256, withdraw, signal) : withdraw());
    return this.#byKey(alone, signal);
  }

  /**
   * Asked once: whoever cancels while the server can't be reached wants it gone.
   *
   * @param {SessionInfo} session
   */
  async #isComplete(session) {
    try {
      return this.#accept(await this.#transport.status(session)).state === "completed";
    } catch {
      return false;
    }
  }

  /** The last answer may have been that the content is there: then it stays. */
  async #withdrawIfCancelled() {
    if (!this.#session || this.#stage !== "cancelled" || this.#withdrawn) return;
    if (this.#session.state === "completed") this.#enter("done");
    else await this.#withdraw(this.#session);
  }

  /** @param {SessionInfo} session */
  async #withdraw(session) {
    this.#withdrawn = true;
    if (this.#company.shares(session.id, this)) return;
    const backoff = new Backoff({
      random: this.#seams.random,
      tries: CANCEL_TRIES,
      patient: false,
    });
    const { signal } = new AbortController();
    try {
      await persist(() => this.#transport.cancel(session), { backoff, seams: this.#seams, signal });
    } catch (error) {
      this.#error = asUploadError(error);
      this.#changed();
    }
  }

  // ----------------------------------------------------- the server's word

  /**
   * Makes the session ours, once it is certain that it is about this very file.
   *
   * @param {SessionInfo} session
   */
  #accept(session) {
    this.#source.assertSizeOf(session);
    this.#source.assertContentOf(session);
    this.#offered = null;
    this.#session = session;
    this.#delivery.follow(session);
    this.#changed();
    return session;
  }

  /**
   * Receipts may overtake one another; a session that has gone on does not go back by them.
   *
   * @param {ChunkReceipt} receipt
   */
  #note({ state, received_chunks, progress }) {
    this.#arrivals += 1;
    if (this.#session?.state !== "active") return;
    this.#session = { ...this.#session, state, received_chunks, progress };
  }

  /** @param {SessionInfo} session */
  #isOurs({ filename, folder }) {
    const name = this.file.name.normalize();
    return filename.normalize() === name && folder.normalize() === this.folder.normalize();
  }

  /**
   * Whether the session has expired, so that another must be opened; throws when it is over for
   * another reason.
   *
   * @param {SessionInfo} session
   */
  #isOver({ state, error, refused }) {
    if (state === "cancelled") throw new CancelledElsewhere();
    if (state === "expired") this.#renew();
    if (state !== "failed") return state === "expired";
    this.#session = null;
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
    this.#session = this.#offered = null;
    if (this.#renewed) {
      throw new UploadError("The server has dropped this upload twice. Resume to try again.", {
        code: "session_gone",
        cause,
      });
    }
    this.#renewed = true;
  }

  /** @param {UploadError} error */
  #countQuestion(error) {
    this.#fruitless = this.#arrivals === this.#arrivalsAtQuestion ? this.#fruitless + 1 : 1;
    this.#arrivalsAtQuestion = this.#arrivals;
    if (this.#fruitless > MAX_FRUITLESS_QUESTIONS) throw error;
  }

  #countRepair() {
    this.#repairs += 1;
    if (this.#repairs <= MAX_REPAIRS) return;
    throw new UploadError(
      "The server finds this upload damaged again and again. Its storage may be faulty.",
      { code: "not_finishing", values: { repairs: this.#repairs } },
    );
  }

  // ------------------------------------------------------ what can be seen

  /**
   * @template T
   * @param {(signal: AbortSignal) => Promise<T>} attempt
   * @param {AbortSignal} signal
   */
  #persist(attempt, signal) {
    return persist(attempt, {
      backoff: new Backoff({ random: this.#seams.random, progress: () => this.#arrivals }),
      seams: this.#seams,
      signal,
      onWait: (wait) => {
        this.#waits.add(wait);
        this.#changed();
      },
      onGo: (wait) => {
        this.#waits.delete(wait);
        this.#changed();
      },
    });
  }

  /** A wait shows only when nothing else moves. @returns {UploadPhase} */
  get phase() {
    const moving = this.#waits.size === 0 || this.#delivery.chunksInFlight > 0;
    if (moving || !UNDER_WAY.includes(this.#stage)) return this.#stage;
    return this.#nextAttempt === null ? "offline" : "retrying";
  }

  /** The earliest moment; null when any wait is for the network. */
  get #nextAttempt() {
    let earliest = Infinity;
    for (const { until } of this.#waits) {
      if (until === null) return null;
      earliest = Math.min(earliest, until);
    }
    return earliest;
  }

  get #lastObstacle() {
    return [...this.#waits].at(-1)?.error ?? null;
  }

  /**
   * Of a file that is sent meanwhile.
   *
   * @param {number} bytes
   */
  #passed(bytes) {
    if (this.#awaitsHash) return this.#hashed(bytes);
    this.#checked = bytes;
    this.#changed();
  }

  /** @param {number} bytes */
  #hashed(bytes) {
    if (this.#controller === null) return;
    this.#checked = bytes;
    this.#enter("checking");
  }

  /**
   * @param {UploadPhase} stage
   * @param {UploadError | null} [error]
   */
  #enter(stage, error = null) {
    this.#stage = stage;
    this.#error = error;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}

/** @param {SessionInfo} session */
function lacksChunks({ state, missing }) {
  return state === "active" && Boolean(missing?.length);
}
