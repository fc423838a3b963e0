/**
 * Waiting until the server has verified a file: with quick looks at first, for a small file takes
 * it a few hundredths of a second, then ever more calmly.
 */

import { sleep } from "./seams.js";

/** @import { Clock, SessionInfo, Turn } from "./types.d.ts" */

/** Milliseconds before the first look, what each pause grows by, and the longest. */
const FIRST_PAUSE = 60;
const GROWTH = 1.6;
const LONGEST_PAUSE = 5000;

/** Shorter pauses than this (ms) are for a few uploads at a time: see `Company.watch`. */
const CALM_PAUSE = 250;

/**
 * @typedef {object} Means
 * @property {Clock} clock
 * @property {Turn} watch
 * @property {(signal: AbortSignal) => Promise<SessionInfo>} look
 */

/**
 * The session as it is when the server is through with it.
 *
 * @param {SessionInfo} session as it is now
 * @param {Means} means
 * @param {AbortSignal} signal
 * @returns {Promise<SessionInfo>}
 */
export async function untilVerified(session, means, signal) {
  if (!isVerifying(session)) return session;
  const since = means.clock.now();
  const soon = await means.watch((watch) => looksSoon(since, means, watch), signal);
  return looks(soon, { from: CALM_PAUSE, to: Infinity }, means, signal);
}

/**
 * @param {number} since who has waited for this turn need not wait once more
 * @param {Means} means
 * @param {AbortSignal} signal
 */
async function looksSoon(since, means, signal) {
  const { clock, look } = means;
  await sleep(clock, Math.max(0, since + FIRST_PAUSE - clock.now()), signal);
  return looks(await look(signal), { from: FIRST_PAUSE, to: CALM_PAUSE }, means, signal);
}

/**
 * @param {SessionInfo} session
 * @param {{ from: number, to: number }} pauses
 * @param {Means} means
 * @param {AbortSignal} signal
 */
async function looks(session, { from, to }, { clock, look }, signal) {
  let now = session;
  for (let pause = from; isVerifying(now) && pause < to; pause *= GROWTH) {
    await sleep(clock, Math.min(pause, LONGEST_PAUSE), signal);
    now = await look(signal);
  }
  return now;
}

/** @param {SessionInfo} session */
function isVerifying({ state }) {
  return state === "assembling";
}
