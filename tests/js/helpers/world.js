/** Time, chance and the network in the hands of a test. */

import { setMaxListeners } from "node:events";
import { setImmediate } from "node:timers/promises";

/** Lets everything that waits for nothing but other promises run. */
export async function settle() {
  for (let turn = 0; turn < 20; turn += 1) await setImmediate();
}

export class FakeClock {
  #now = Date.parse("2026-01-01T00:00:00Z");
  #timers = new Map();
  #lastTimer = 0;

  now = () => this.#now;

  setTimeout = (callback, delay) => {
    this.#timers.set(++this.#lastTimer, { callback, due: this.#now + delay });
    return this.#lastTimer;
  };

  clearTimeout = (timer) => {
    this.#timers.delete(timer);
  };

  get pending() {
    return this.#timers.size;
  }

  /** Passes so many milliseconds, firing on the way what falls due. */
  async advance(duration) {
    const end = this.#now + duration;
    await settle();
    for (let next = this.#next(end); next; next = this.#next(end)) {
      const [timer, { callback, due }] = next;
      this.#timers.delete(timer);
      this.#now = Math.max(due, this.#now);
      callback();
      await settle();
    }
    this.#now = end;
    await settle();
  }

  #next(end) {
    const due = [...this.#timers].filter(([, timer]) => timer.due <= end);
    return due.sort(([, a], [, b]) => a.due - b.due)[0];
  }
}

export class FakeConnectivity extends EventTarget {
  online = true;

  constructor() {
    super();
    // Each request under way listens, and that may be many.
    setMaxListeners(0, this);
  }

  goOffline() {
    this.online = false;
    this.dispatchEvent(new Event("offline"));
  }

  goOnline() {
    this.online = true;
    this.dispatchEvent(new Event("online"));
  }
}

/** Seams for an upload: chance always deals its greatest delay but one part in a thousand. */
export function fakeWorld() {
  return { clock: new FakeClock(), random: () => 0.999, connectivity: new FakeConnectivity() };
}
