/** @import { Problem, UploadFailure, WrongFileValues } from "./types.d.ts" */

/** Failures that only the file, chosen again, can mend. */
const NEEDS_THE_FILE = ["source_changed", "wrong_file"];

/** Failures of which the same file, sent from the same page, would die again. */
const FINAL = [
  "content_refused", "invalid_filename", "ticket_expired", "ticket_invalid", "too_large", "type_not_allowed",
];

/**
 * What every part of the upload module throws. The message is fit to be shown to the
 * person, in English; a page in another language makes its own sentence of code and values.
 *
 * @implements {UploadFailure}
 */
export class UploadError extends Error {
  /**
   * @param {string} message
   * @param {object} facts
   * @param {string} facts.code
   * @param {Record<string, unknown>} [facts.values] what the sentence tells besides
   * @param {number} [facts.status] HTTP status, 0 when there was no answer
   * @param {Problem | null} [facts.problem] the body of the refusal
   * @param {number | null} [facts.retryAfter] seconds
   * @param {unknown} [facts.cause]
   */
  constructor(message, { code, values, status = 0, problem = null, retryAfter = null, cause }) {
    super(message, { cause });
    this.name = "UploadError";
    this.code = code;
    this.values = values ?? problem ?? {};
    this.status = status;
    this.problem = problem;
    this.retryAfter = retryAfter;
  }
}

/**
 * Resuming is in vain: the file has to be chosen again.
 *
 * @param {UploadFailure | null} error
 */
export function needsTheFile(error) {
  return error !== null && NEEDS_THE_FILE.includes(error.code);
}

/**
 * Trying again is in vain: it takes another file, or a page that is loaded anew.
 *
 * @param {UploadFailure | null} error
 */
export function isFinal(error) {
  return error !== null && FINAL.includes(error.code);
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

/** @param {WrongFileValues} values */
export function wrongFile(values) {
  return new UploadError(
    `This is another file, or it has changed: ${difference(values)}. What the server has is as it ` +
      "was. Choose the file that the upload was begun with, or cancel it and send this one anew.",
    { code: "wrong_file", values: { ...values } },
  );
}

/** @param {WrongFileValues} values */
function difference({ reason, filename, size, expected, expectedSize }) {
  if (reason === "size") {
    return (
      `the interrupted upload expects ${count(expectedSize)} bytes, ` +
      `“${filename}” has ${count(size)}`
    );
  }
  if (reason === "shorter") {
    return (
      `${count(expectedSize)} bytes of “${expected}” are here already, ` +
      `“${filename}” has only ${count(size)}`
    );
  }
  return filename === expected
    ? `“${filename}” has the same name but other content`
    : `“${filename}” has other content than “${expected}”`;
}

/** @param {number} bytes */
function count(bytes) {
  return bytes.toLocaleString("en");
}
