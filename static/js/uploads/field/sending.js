/**
 * What the fields of a page have in common, however many a formset has: one worker that hashes, and
 * one line to the server. With a line for each, their chunks would wait in the browser, which opens
 * six connections to a server, until they are taken for lost.
 */

import { WorkerHasher } from "../hashing.js";
import { csrfToken } from "../page/dom.js";
import { CHUNKS_AT_ONCE, HttpTransport } from "../transport.js";
import { Uploader } from "../uploader.js";
import { WorkerQueue } from "../queue.js";

const line = new WorkerQueue({ limit: CHUNKS_AT_ONCE });

/** By the address of their worker, of which a page has one. @type {Map<string, WorkerHasher>} */
const hashers = new Map();

/**
 * @param {DOMStringMap} field
 * @param {() => HTMLFormElement | null} form
 */
export function newUploader(field, form) {
  const token = () => csrfToken({ csrfCookie: field.csrfCookie, csrfToken: tokenIn(form()) });
  const transport = new HttpTransport({
    csrfToken: token,
    handshakeUrl: field.handshakeUrl,
    headers: { "X-Holdfast-User": field.user ?? "" },
    // A swap may have brought a new one.
    ticket: () => field.ticket ?? "",
    line,
  });
  return new Uploader({ transport, hasher: hasherAt(field.workerUrl ?? "") });
}

/** @param {string} workerUrl */
function hasherAt(workerUrl) {
  const hasher = hashers.get(workerUrl) ?? new WorkerHasher({ workerUrl });
  hashers.set(workerUrl, hasher);
  return hasher;
}

/**
 * For projects whose CSRF cookie no script may read.
 *
 * @param {HTMLFormElement | null} form
 */
function tokenIn(form) {
  const input = form?.elements.namedItem("csrfmiddlewaretoken");
  return input instanceof HTMLInputElement ? input.value : "";
}
