/** @import { Problem, UploadFailure } from "./types.d.ts" */

/**
 * What every part of the upload module throws. The message is fit to be shown to the
 * person; the code is what programs decide by.
 *
 * @implements {UploadFailure}
 */
export class UploadError extends Error {
  /**
   * @param {string} message
   * @param {object} facts
   * @param {string} facts.code
   * @param {number} [facts.status] HTTP status, 0 when there was no answer
   * @param {Problem | null} [facts.problem] the body of the refusal
   * @param {number | null} [facts.retryAfter] seconds
   * @param {unknown} [facts.cause]
   */
  constructor(message, { code, status = 0, problem = null, retryAfter = null, cause }) {
    super(message, { cause });
    this.name = "UploadError";
    this.code = code;
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/**
 * A defect of ours must fail as visibly as a refusal, in the same shape.
 *
 * @param {unknown} error
 * @returns {UploadError}
 */
export function asUploadError(error) {
  if (error instanceof UploadError) return error;
  return new UploadError("Something in this page went wrong. Resume to try again.", {
    code: "internal",
    cause: error,
  });
}

/** @param {unknown} [cause] */
export function sourceChanged(cause) {
  return new UploadError(
    "This file was changed, moved or deleted after it was chosen, so sending stopped before old " +
      "and new content could mix. Nothing was damaged, and what was sent is kept. Choose the " +
      "file again: if its content is what it was, the upload goes on.",
    { code: "source_changed", cause },
  );
}
