/** A turn that is kept from one step of an upload to the next, until it is left. */

/** @import { Turn } from "./types.d.ts" */

export class HeldTurn {
  #turn;
  /** @type {(() => void) | null} */
  #leave = null;

  /** @param {Turn} turn */
  constructor(turn) {
    this.#turn = turn;
  }

  get isHeld() {
    return this.#leave !== null;
  }

  /**
   * Resolves when it is our turn, at once where it is already; rejects when `signal` aborts the wait.
   *
   * @param {AbortSignal} signal
   */
  async take(signal) {
    if (this.#leave) return;
    const { promise: held, resolve: leave } = Promise.withResolvers();
    await new Promise((resolve, reject) => {
      const begin = () => {
        resolve(undefined);
        return held;
      };
      this.#turn(begin, signal).catch(reject);
    });
    this.#leave = () => leave(undefined);
  }

  leave() {
    this.#leave?.();
    this.#leave = null;
  }
}
