/**
 * The world outside, behind three small doors: time, chance and the network's state.
 * Tests put their own in; everything else takes these.
 */

/** @import { Clock, Connectivity, Seams } from "./types.d.ts" */

/** @type {Clock} */
export const systemClock = {
  now: () => Date.now(),
  setTimeout: (callback, delay) => globalThis.setTimeout(callback, delay),
  clearTimeout: (timer) => globalThis.clearTimeout(timer),
};

/** @type {Connectivity} */
export const browserConnectivity = {
  // Anything but a plain "no" counts as online: some browsers don't know.
  get online() {
    return globalThis.navigator?.onLine !== false;
  },
  addEventListener: (type, listener) => globalThis.addEventListener?.(type, listener),
  removeEventListener: (type, listener) => globalThis.removeEventListener?.(type, listener),
};

/**
 * @param {Partial<Seams>} given
 * @returns {Seams}
 */
export function withDefaults({ clock, random, connectivity }) {
  return {
    clock: clock ?? systemClock,
    random: random ?? Math.random,
    connectivity: connectivity ?? browserConnectivity,
  };
}

/**
 * Resolves after `delay` milliseconds, or rejects with the signal's reason at once.
 *
 * @param {Clock} clock
 * @param {number} delay
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function sleep(clock, delay, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const timer = clock.setTimeout(() => {
      signal?.removeEventListener("abort", cut);
      resolve();
    }, delay);
    const cut = () => {
      clock.clearTimeout(timer);
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", cut, { once: true });
  });
}
