/** What an upload's phase means to those who look at many of them. */

/** @import { UploadPhase } from "./types.d.ts" */

/** @type {ReadonlySet<UploadPhase>} */
const AT_REST = new Set(["done", "failed", "cancelled"]);

/**
 * Leaving the page now would interrupt the work. Not so while verifying, which the server
 * does alone, nor while paused.
 *
 * @type {ReadonlySet<UploadPhase>}
 */
const BUSY = new Set(["waiting", "checking", "sending", "retrying", "offline"]);

/**
 * Nothing more happens by itself, and nothing is waited for.
 *
 * @param {UploadPhase} phase
 */
export function isAtRest(phase) {
  return AT_REST.has(phase);
}

/** @param {UploadPhase} phase */
export function isBusyPhase(phase) {
  return BUSY.has(phase);
}
