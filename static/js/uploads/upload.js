/**
 * One file on its way to the server: hash it, agree with the server on what is missing,
 * send that, see it verified. A large file is hashed while it is sent (ADR 29). Knows neither HTTP nor the
 * page.
 */

import { Agreement, CancelledElsewhere, MustBeHashed } from "./agreement.js";
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
 *   ChunkReceipt, Company, SessionInfo, Turn, UploadHandle,
 *   UploadOptions, UploadPhase, UploadStatus
 * } from "./types.d.ts"
 * @import { Wait } from "./retry.js"
 */

/** Disks that damage the same upload more often than this will not get better. */
const MAX_REPAIRS = 5;

/** How often the server may be asked what it holds without anything having arrived since. */
const MAX_FRUITLESS_QUESTIONS = 3;

/** A cancelled session that the server never hears of expires by itself. */
const CANCEL_TRIES = 5;

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

/** @implements {UploadHandle} */
export class Upload extends EventTarget {
  #source;
  #transport;
  #seams;
  #turn;
  /** @type {Company} */
  #company;
  #agreement;
  #delivery;
  #speed;

  /** What the upload is at; `status.phase` adds what it may be waiting for. */
  #stage = /** @type {UploadPhase} */ ("waiting");
  #checked = 0;
  /** All is sent but the hash, which the upload waits for now. */
  #awaitsHash = false;
  #withdrawn = false;
  /** @type {UploadError | null} */
  #error = null;
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
    this.#speed = new SpeedMeter(this.#seams.clock);
    this.#agreement = new Agreement(options.session ?? null, {
      source: this.#source,
      transport: this.#transport,
      folder: this.folder,
      persist: (attempt, signal) => this.#persist(attempt, signal),
      isShared: (id) => this.#company.shares(id, this),
      hasArrived: () => this.#arrivals > 0,
      onCompare: () => this.#enter("checking"),
      onSession: (session) => {
        this.#delivery.follow(session);
        this.#changed();
      },
    });
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
    return this.#agreement.known?.id ?? null;
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
      comparing: this.#agreement.isComparing,
      acknowledged,
      sent,
      speed,
      timeLeft: speed > 0 ? (total - sent) / speed : null,
      retryAt: phase === "retrying" ? this.#nextAttempt : null,
      error: phase === "retrying" || phase === "offline" ? this.#lastObstacle : this.#error,
      existed: this.#agreement.existed,
      session: this.#agreement.session,
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
    if (this.#agreement.session) await this.#withdrawAtRest(this.#agreement.session);
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
      this.#agreement.restart();
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
    if (this.#agreement.offered) this.#source.assertSizeOf(this.#agreement.offered);
    if (this.#mustBeHashed) await this.#check(signal);
    else this.#agreement.key ||= await this.#source.key(this.folder);
    signal.throwIfAborted();
    await this.#byKey((alone) => this.#finished(alone), signal);
  }

  /**
   * Before anything is sent: a small file, one whose session has a declared hash, and one that may be equal
   * to another that is being sent.
   */
  get #mustBeHashed() {
    const declared = this.#agreement.known?.sha256;
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
    return this.#agreement.key ? this.#company.alone(this.#agreement.key, work, signal) : work(signal);
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
    if (this.#agreement.offered) this.#source.assertContentOf(this.#agreement.offered);
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
      const session = await this.#agreement.agree(signal);
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
    let known = this.#isAllIn ? await this.#agreement.agree(signal) : null;
    do {
      signal.throwIfAborted();
      const whole = await this.#inTurn(known, signal);
      known = whole.state === "completed" ? whole : await this.#finish(whole, signal);
      // What the server has complete it gives an entry under our own name too.
      if (known?.state === "completed" && this.#agreement.isBorrowed) known = await this.#agreement.handshake(signal);
    } while (known?.state !== "completed");
  }

  get #isAllIn() {
    return this.#agreement.session?.state === "active" && this.#delivery.missing.length === 0;
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
    let session = known ?? (await this.#agreement.agree(signal));
    const { sha256 } = this.#source;
    while (lacksChunks(session) && this.#source.sha256 === sha256) {
      signal.throwIfAborted();
      const sent = await this.#unlessStale(() => this.#send(session, signal));
      session = sent ?? (await this.#agreement.agree(signal));
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
    return { ...session, state: this.#agreement.session?.state ?? session.state, missing };
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
    if (verdict === null || this.#agreement.isOver(verdict)) return null;
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
    const now = atWork ? session : this.#agreement.accept(await this.#persist(complete, signal));
    const means = {
      clock: this.#seams.clock,
      watch: this.#company.watch,
      look: async (/** @type {AbortSignal} */ either) =>
        this.#agreement.accept(await this.#persist(look, either)),
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
      return this.#agreement.accept(await this.#transport.status(session)).state === "completed";
    } catch {
      return false;
    }
  }

  /** The last answer may have been that the content is there: then it stays. */
  async #withdrawIfCancelled() {
    if (!this.#agreement.session || this.#stage !== "cancelled" || this.#withdrawn) return;
    if (this.#agreement.session.state === "completed") this.#enter("done");
    else await this.#withdraw(this.#agreement.session);
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
   * Receipts may overtake one another; a session that has gone on does not go back by them.
   *
   * @param {ChunkReceipt} receipt
   */
  #note({ state, received_chunks, progress }) {
    this.#arrivals += 1;
    if (this.#agreement.session?.state !== "active") return;
    this.#agreement.session = { ...this.#agreement.session, state, received_chunks, progress };
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
