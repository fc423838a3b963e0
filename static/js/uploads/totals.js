/** The account of all uploads of the page's present batch together. */

import { isAtRest } from "./phases.js";
import { SpeedMeter } from "./speed.js";

/** @import { Clock, UploadHandle, UploadStatus, UploadTotals } from "./types.d.ts" */

export class Batch {
  /** @type {Set<UploadHandle>} */
  #members = new Set();
  /** Those not at rest, among them the paused ones. @type {Set<UploadHandle>} */
  #open = new Set();
  /** Those not at rest and not paused. @type {Set<UploadHandle>} */
  #active = new Set();
  /** Done and removed since. */
  #gone = { files: 0, bytes: 0 };
  /** How many are about to add further uploads to this very batch. */
  #holds = 0;
  /** Of all together: a small file is sent before a meter of its own could tell anything. */
  #speed;
  #measuring = false;

  /** @param {Clock} clock */
  constructor(clock) {
    this.#speed = new SpeedMeter(clock);
  }

  /** Further uploads follow: however soon the first have come to rest, they are one batch. */
  hold() {
    this.#renewIfAtRest();
    this.#holds += 1;
  }

  release() {
    this.#holds -= 1;
  }

  /**
   * Takes note of what has become of an upload; to be called after each of its changes.
   *
   * @param {UploadHandle} upload
   */
  follow(upload) {
    const { phase } = upload;
    const open = !isAtRest(phase);
    if (open && !this.#members.has(upload)) {
      this.#renewIfAtRest();
      this.#members.add(upload);
    }
    if (phase === "cancelled") this.#members.delete(upload);
    include(this.#open, upload, open);
    include(this.#active, upload, open && phase !== "paused");
    if (this.#active.size === 0) this.#stopMeasuring();
  }

  /**
   * The page forgets an upload that is at rest.
   *
   * @param {UploadHandle} upload
   */
  leave(upload) {
    if (!this.#members.delete(upload) || upload.phase !== "done") return;
    this.#gone.files += 1;
    this.#gone.bytes += upload.status.total;
  }

  /** @param {number} bytes more bytes that have left */
  sent(bytes) {
    if (!this.#measuring) this.#speed.start();
    this.#measuring = true;
    this.#speed.add(bytes);
  }

  /** @returns {UploadTotals} */
  get totals() {
    const sum = new Sum(this.#gone);
    for (const { status } of this.#members) sum.add(status);
    const waitingForNetwork = sum.offline > 0 && sum.sending === 0;
    const waiting = waitingForNetwork || (sum.nextAttempt !== null && sum.sending === 0);
    // What was measured before the wait would take a minute to fade.
    const speed = waiting ? 0 : this.#speed.rate;
    const { files, done, failed, paused, active, bytes, bytesSent, nextAttempt } = sum;
    const timeLeft = speed > 0 ? sum.bytesLeft / speed : null;
    return {
      ...{ files, done, failed, paused, active, bytes, bytesSent, nextAttempt },
      ...{ speed, timeLeft, waitingForNetwork },
    };
  }

  #renewIfAtRest() {
    if (this.#open.size > 0 || this.#holds > 0) return;
    this.#members.clear();
    this.#gone = { files: 0, bytes: 0 };
  }

  #stopMeasuring() {
    this.#speed.stop();
    this.#measuring = false;
  }
}

class Sum {
  done;
  bytes;
  bytesSent;
  files;
  failed = 0;
  paused = 0;
  active = 0;
  offline = 0;
  sending = 0;
  /** Of the active ones. */
  bytesLeft = 0;
  /** @type {number | null} */
  nextAttempt = null;

  /** @param {{ files: number, bytes: number }} gone */
  constructor({ files, bytes }) {
    this.files = this.done = files;
    this.bytes = this.bytesSent = bytes;
  }

  /** @param {UploadStatus} status */
  add({ phase, total, sent, retryAt }) {
    this.files += 1;
    this.bytes += total;
    this.bytesSent += sent;
    if (phase === "done" || phase === "failed" || phase === "paused") this[phase] += 1;
    else this.#addActive(total - sent);
    if (phase === "offline" || phase === "sending") this[phase] += 1;
    if (retryAt !== null) this.nextAttempt = Math.min(retryAt, this.nextAttempt ?? retryAt);
  }

  /** @param {number} bytesLeft */
  #addActive(bytesLeft) {
    this.active += 1;
    this.bytesLeft += bytesLeft;
  }
}

/**
 * @template T
 * @param {Set<T>} set
 * @param {T} member
 * @param {boolean} included
 */
function include(set, member, included) {
  if (included) set.add(member);
  else set.delete(member);
}
