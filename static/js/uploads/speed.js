/**
 * How fast bytes leave, smoothed: progress events come in bursts, and a number that jumps
 * with each of them tells the person nothing.
 */

/** @import { Clock } from "./types.d.ts" */

/** Milliseconds after which an old rate counts for about a third. */
const SMOOTHING = 5000;

/** Shorter spans (ms) are gathered first: a burst within them says nothing about speed. */
const SHORTEST_SPAN = 250;

export class SpeedMeter {
  #clock;
  #rate = 0;
  #bytes = 0;
  /** When the present span began; null while nothing is measured. @type {number | null} */
  #since = null;
  #measured = 0;

  /** @param {Clock} clock */
  constructor(clock) {
    this.#clock = clock;
  }

  /** Begins anew: what was measured before a pause says nothing about after it. */
  start() {
    this.#since = this.#clock.now();
    this.#rate = this.#bytes = this.#measured = 0;
  }

  stop() {
    this.#since = null;
    this.#rate = 0;
  }

  /** @param {number} bytes more bytes that have left */
  add(bytes) {
    this.#bytes += bytes;
    this.#fold();
  }

  /** Bytes per second; falls towards 0 while nothing moves. */
  get rate() {
    this.#fold();
    return this.#rate;
  }

  #fold() {
    if (this.#since === null) return;
    const span = this.#clock.now() - this.#since;
    if (span < SHORTEST_SPAN) return;
    // The first spans weigh by the time measured so far, lest the rate creep up from 0.
    this.#measured += span;
    const weight = Math.max(1 - Math.exp(-span / SMOOTHING), span / this.#measured);
    this.#rate += weight * ((this.#bytes * 1000) / span - this.#rate);
    this.#bytes = 0;
    this.#since += span;
  }
}
