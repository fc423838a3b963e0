/**
 * When to try again, and how long to wait before. Growing, jittered delays keep a server
 * that is coming back from being met by every client at once.
 */

import { UploadError } from "./errors.js";
import { sleep } from "./seams.js";

/** @import { Connectivity, Seams } from "./types.d.ts" */

/**
 * Statuses that say nothing against the request itself. 422 is among them because here it
 * means that a chunk's bytes were damaged on the way: the same chunk, sent again, is whole.
 */
const TRANSIENT = new Set([408, 422, 425, 429, 500, 502, 503, 504, 507]);

/** The upper bound (ms) of the first delay; it doubles with each further failure. */
const FIRST_DELAY = 500;

/** No delay grows beyond this (ms): a link that is back should be noticed soon. */
const LONGEST_DELAY = 30_000;

/** With the delays above some two minutes: a server's restart, or a train's tunnel. */
const TRIES_WITHOUT_PROGRESS = 12;

/** Statuses by which a server, when it names a time, asks to be asked again then. */
const BUSY = new Set([429, 503, 507]);

/** Each further refusal of a busy server makes the wait so much longer. */
const BUSY_GROWTH = 1.5;

/**
 * But no longer than this (ms), unless the server asks for more: whoever has made room on its disk
 * should soon see it used.
 */
const LONGEST_BUSY_DELAY = 180_000;

/** Seconds. What asks for a longer wait is not worth believing. */
const LONGEST_RETRY_AFTER = 3600;

/**
 * Being offline is asked again this often (ms): browsers also report it on a machine that
 * has no network but reaches its own server all the same.
 */
const OFFLINE_PROBE = 15_000;

/**
 * @param {unknown} error
 * @returns {error is UploadError}
 */
export function isTransient(error) {
  if (!(error instanceof UploadError)) return false;
  // A page where JSON was due comes from a proxy or a captive portal, and those go away.
  const strange = error.code === "unexpected_answer" && error.status < 300;
  return error.code === "network" || strange || TRANSIENT.has(error.status);
}

/**
 * The session may be in another state than we believe: ask before deciding anything.
 *
 * @param {unknown} error
 * @returns {error is UploadError}
 */
export function isStale(error) {
  return error instanceof UploadError && [404, 409, 410].includes(error.status);
}

/**
 * The server is at work, and has said when to come back: it may take somebody hours to make room
 * on its disk, and until then nothing is gained by giving up.
 *
 * @param {unknown} error
 * @returns {error is UploadError & { retryAfter: number }}
 */
export function isBusy(error) {
  return error instanceof UploadError && error.retryAfter !== null && BUSY.has(error.status);
}

/**
 * `Retry-After`, RFC 9110 section 10.2.3: seconds, or an HTTP date.
 *
 * @param {string | null} value
 * @param {number} now
 * @returns {number | null} seconds; null when absent or not understood
 */
export function parseRetryAfter(value, now) {
  const text = value?.trim() ?? "";
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - now) / 1000;
  if (Number.isNaN(seconds)) return null;
  return Math.min(Math.max(seconds, 0), LONGEST_RETRY_AFTER);
}

/** Counts the failures of one request and says how long to wait after each. */
export class Backoff {
  #random;
  #progress;
  #tries;
  #patient;
  #failures = 0;
  #refusals = 0;
  #mark;

  /**
   * @param {object} options
   * @param {() => number} options.random
   * @param {() => number} [options.progress] any number that changes when the upload gets
   *   ahead; a change resets the count, so a bad line that works now and then never gives up
   * @param {number} [options.tries]
   * @param {boolean} [options.patient] whether a busy server is waited for as long as it takes
   */
  constructor({ random, progress = () => 0, tries = TRIES_WITHOUT_PROGRESS, patient = true }) {
    this.#random = random;
    this.#progress = progress;
    this.#tries = tries;
    this.#patient = patient;
    this.#mark = progress();
  }

  /**
   * @param {UploadError} error
   * @returns {number | null} milliseconds to wait; null when it is time to give up
   */
  after(error) {
    const mark = this.#progress();
    if (mark !== this.#mark) this.#failures = this.#refusals = 0;
    this.#mark = mark;
    if (this.#patient && isBusy(error)) return this.#untilFree(error.retryAfter);
    this.#refusals = 0;
    this.#failures += 1;
    if (this.#failures >= this.#tries) return null;
    return this.#asked(error) ?? this.#random() * this.#bound(this.#failures);
  }

  /**
   * A server that answers is not out of reach, so this costs no tries and gives all of them back.
   *
   * @param {number} retryAfter seconds
   */
  #untilFree(retryAfter) {
    this.#failures = 0;
    const asked = retryAfter * 1000;
    const grown = Math.max(asked, FIRST_DELAY) * BUSY_GROWTH ** this.#refusals;
    this.#refusals += 1;
    return this.#jittered(Math.max(asked, Math.min(grown, LONGEST_BUSY_DELAY)));
  }

  /** @param {number} failures */
  #bound(failures) {
    return Math.min(FIRST_DELAY * 2 ** (failures - 1), LONGEST_DELAY);
  }

  /** @param {UploadError} error */
  #asked(error) {
    return error.retryAfter === null ? null : this.#jittered(error.retryAfter * 1000);
  }

  /**
   * The server's wish is a minimum; the jitter on top keeps clients from returning in step.
   *
   * @param {number} delay
   */
  #jittered(delay) {
    return delay + this.#random() * Math.max(FIRST_DELAY, delay / 10);
  }
}

/**
 * @typedef {object} Wait
 * @property {number | null} until the moment of the next attempt; null: when back online
 * @property {UploadError} error what is waited out
 * @property {() => void} end makes the next attempt now
 * @property {AbortSignal} ended
 */

/**
 * Attempts until one succeeds, fails for good, exhausts the backoff or is aborted.
 * Offline costs no tries: the attempt is dropped at once and made again when back.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} attempt
 * @param {object} options
 * @param {Backoff} options.backoff
 * @param {Seams} options.seams
 * @param {AbortSignal} options.signal
 * @param {(wait: Wait) => void} [options.onWait] before each wait
 * @param {(wait: Wait) => void} [options.onGo] after it, however it ended
 * @returns {Promise<T>}
 */
export async function persist(attempt, { backoff, seams, signal, onWait, onGo }) {
  for (;;) {
    try {
      return await whileOnline(attempt, seams.connectivity, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!isTransient(error)) throw error;
      const wait = plannedWait(error, backoff, seams);
      onWait?.(wait);
      await pass(wait, seams, signal).finally(() => onGo?.(wait));
    }
  }
}

/**
 * @param {UploadError} error
 * @param {Backoff} backoff
 * @param {Seams} seams
 * @returns {Wait}
 */
function plannedWait(error, backoff, { clock, connectivity }) {
  const early = new AbortController();
  const wait = { error, end: () => early.abort(), ended: early.signal };
  if (error.code === "network" && !connectivity.online) return { until: null, ...wait };
  const delay = backoff.after(error);
  if (delay === null) throw error;
  return { until: clock.now() + delay, ...wait };
}

/**
 * @param {Wait} wait
 * @param {Seams} seams
 * @param {AbortSignal} signal
 */
async function pass({ until, error, end, ended }, { clock, connectivity }, signal) {
  const delay = until === null ? OFFLINE_PROBE : until - clock.now();
  // What the server asked for is waited out; what the network did may be over any moment.
  if (error.code === "network") connectivity.addEventListener("online", end);
  try {
    await sleep(clock, delay, AbortSignal.any([signal, ended]));
  } catch {
    signal.throwIfAborted();
  } finally {
    connectivity.removeEventListener("online", end);
  }
}

/**
 * A connection does not notice that its network is gone, so it is dropped by hand.
 * Whether the attempt begins is not ours to forbid: see OFFLINE_PROBE.
 *
 * @template T
 * @param {(signal: AbortSignal) => Promise<T>} attempt
 * @param {Connectivity} connectivity
 * @param {AbortSignal} signal
 */
async function whileOnline(attempt, connectivity, signal) {
  const gone = new AbortController();
  const onOffline = () => {
    gone.abort(
      new UploadError("The network is gone.", { code: "network", values: { reason: "offline" } }),
    );
  };
  connectivity.addEventListener("offline", onOffline);
  try {
    return await attempt(AbortSignal.any([signal, gone.signal]));
  } finally {
    connectivity.removeEventListener("offline", onOffline);
  }
}
