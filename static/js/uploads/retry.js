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
  #failures = 0;
  #mark;

  /**
   * @param {object} options
   * @param {() => number} options.random
   * @param {() => number} [options.progress] any number that changes when the upload gets
   *   ahead; a change resets the count, so a bad line that works now and then never gives up
   * @param {number} [options.tries]
   */
  constructor({ random, progress = () => 0, tries = TRIES_WITHOUT_PROGRESS }) {
    this.#random = random;
    this.#progress = progress;
    this.#tries = tries;
    this.#mark = progress();
  }

  /**
   * @param {UploadError} error
   * @returns {number | null} milliseconds to wait; null when it is time to give up
   */
  after(error) {
    const mark = this.#progress();
    if (mark !== this.#mark) this.#failures = 0;
    this.#mark = mark;
    this.#failures += 1;
    if (this.#failures >= this.#tries) return null;
    return this.#asked(error) ?? this.#random() * this.#bound(this.#failures);
  }

  /** @param {number} failures */
  #bound(failures) {
    return Math.min(FIRST_DELAY * 2 ** (failures - 1), LONGEST_DELAY);
  }

  /**
   * The server's wish is a minimum; the jitter on top keeps clients from returning in step.
   *
   * @param {UploadError} error
   */
  #asked(error) {
    if (error.retryAfter === null) return null;
    return error.retryAfter * 1000 + this.#random() * FIRST_DELAY;
  }
}

/**
 * @typedef {object} Wait
 * @property {number | null} until the moment of the next attempt; null: when back online
 * @property {UploadError} error what is waited out
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
  if (error.code === "network" && !connectivity.online) return { until: null, error };
  const delay = backoff.after(error);
  if (delay === null) throw error;
  return { until: clock.now() + delay, error };
}

/**
 * @param {Wait} wait
 * @param {Seams} seams
 * @param {AbortSignal} signal
 */
function pass({ until, error }, { clock, connectivity }, signal) {
  const delay = until === null ? OFFLINE_PROBE : until - clock.now();
  // What the server asked for is waited out; what the network did may be over any moment.
  if (error.code !== "network") return sleep(clock, delay, signal);
  return unlessOnline((either) => sleep(clock, delay, either), connectivity, signal);
}

/**
 * A wait that ends early when the network comes back.
 *
 * @param {(signal: AbortSignal) => Promise<void>} wait
 * @param {Connectivity} connectivity
 * @param {AbortSignal} signal
 */
async function unlessOnline(wait, connectivity, signal) {
  const back = new AbortController();
  const onOnline = () => back.abort();
  connectivity.addEventListener("online", onOnline);
  try {
    await wait(AbortSignal.any([signal, back.signal]));
  } catch {
    signal.throwIfAborted();
  } finally {
    connectivity.removeEventListener("online", onOnline);
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
    gone.abort(new UploadError("The network is gone.", { code: "network" }));
  };
  connectivity.addEventListener("offline", onOffline);
  try {
    return await attempt(AbortSignal.any([signal, gone.signal]));
  } finally {
    connectivity.removeEventListener("offline", onOffline);
  }
}
