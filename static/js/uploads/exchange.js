/**
 * One question and its answer over HTTP, the same for every protocol: the page's CSRF token, silence
 * that counts as a lost connection, and refusals as `UploadError`s that say what they mean for the
 * person.
 */

import { UploadError } from "./errors.js";
import { parseRetryAfter } from "./retry.js";
import { systemClock } from "./seams.js";

/** @import { Connection, Problem, RequestOptions } from "./types.d.ts" */

/** Milliseconds without any sign of life; a server that syncs a slow disk needs some. */
const STALL_AFTER = 60_000;

const ACCEPT = "application/json, application/problem+json";

/**
 * What a refusal that passes means for the person: the server's own sentence tells a script what
 * to do, and here it is done already. By code, or where a page or a proxy answers, by status.
 *
 * @type {Record<string, string>}
 */
const OBSTACLES = {
  storage_full: "The server's disk is full. Nothing was lost.",
  storage_unavailable: "The server cannot reach its storage right now. Nothing was lost.",
  429: "The server asks for some patience. Nothing was lost.",
  503: "The server is busy. Nothing was lost.",
  507: "The server's disk is full. Nothing was lost.",
};

const SAFE_METHODS = ["GET", "HEAD"];

export class Exchange {
  #csrfToken;
  #own;
  #fetch;
  #createXhr;
  #clock;
  #stallAfter;

  /** @param {Connection} connection */
  constructor(connection) {
    this.#csrfToken = connection.csrfToken;
    this.#own = connection.headers ?? {};
    this.#fetch = connection.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#createXhr = connection.createXhr ?? (() => new XMLHttpRequest());
    this.#clock = connection.clock ?? systemClock;
    this.#stallAfter = connection.stallAfter ?? STALL_AFTER;
  }

  /**
   * @param {string} method
   * @param {string} url
   * @param {RequestOptions & { body?: BodyInit, headers?: Record<string, string> }} [request]
   * @returns {Promise<any>} the body, as the server documents it; null for 204
   */
  ask(method, url, { body, headers, signal } = {}) {
    return this.#watched(signal, async (guard) => {
      const response = await this.#fetch(url, {
        method,
        headers: { ...this.#headers(method), ...headers },
        body,
        cache: "no-store",
        credentials: "same-origin",
        signal: guard,
      });
      const text = await response.text();
      return this.#answer(response.status, response.headers.get("Retry-After"), text);
    });
  }

  /**
   * By XMLHttpRequest, because fetch does not tell how far a body has got. What the body is of the
   * file, the browser reads from disk as it goes.
   *
   * @param {string} method
   * @param {string} url
   * @param {Blob | Uint8Array<ArrayBuffer> | FormData} body
   * @param {RequestOptions & {
   *   headers?: Record<string, string>, onProgress?: (bytes: number) => void
   * }} options
   * @returns {Promise<any>} as of `ask`
   */
  send(method, url, body, { headers, signal, onProgress }) {
    const xhr = this.#createXhr();
    xhr.open(method, url);
    const all = { ...this.#headers(method), ...headers };
    for (const [name, value] of Object.entries(all)) xhr.setRequestHeader(name, value);
    return this.#watched(signal, async (guard, alive) => {
      xhr.upload.addEventListener("progress", (event) => {
        alive();
        onProgress?.(event.loaded);
      });
      await sent(xhr, body, guard);
      return this.#answer(xhr.status, xhr.getResponseHeader("Retry-After"), xhr.responseText);
    });
  }

  /**
   * @param {string} method
   * @returns {Record<string, string>}
   */
  #headers(method) {
    const headers = { ...this.#own, Accept: ACCEPT };
    if (SAFE_METHODS.includes(method)) return headers;
    return { ...headers, "X-CSRFToken": this.#csrfToken() };
  }

  /**
   * Runs one exchange and gives it up when nothing has moved for too long: a connection
   * whose other end is gone would otherwise hang until the system notices, if ever.
   *
   * @template T
   * @param {AbortSignal | undefined} signal
   * @param {(guard: AbortSignal, alive: () => void) => Promise<T>} exchange
   */
  async #watched(signal, exchange) {
    const silence = new AbortController();
    const guard = signal ? AbortSignal.any([signal, silence.signal]) : silence.signal;
    /** @type {unknown} */
    let timer;
    const alive = () => {
      this.#clock.clearTimeout(timer);
      timer = this.#clock.setTimeout(() => silence.abort(unanswered()), this.#stallAfter);
    };
    alive();
    try {
      guard.throwIfAborted();
      return await exchange(guard, alive);
    } catch (error) {
      guard.throwIfAborted();
      throw error instanceof UploadError ? error : unreachable(error);
    } finally {
      this.#clock.clearTimeout(timer);
    }
  }

  /**
   * @param {number} status
   * @param {string | null} retryAfter
   * @param {string} text
   * @returns {any} the body as our server documents it; null for 204
   */
  #answer(status, retryAfter, text) {
    const body = parsed(text);
    const fine = status >= 200 && status < 300;
    if (fine && (status === 204 || body !== null)) return body;
    throw refusal(status, body, parseRetryAfter(retryAfter, this.#clock.now()));
  }
}

/**
 * @param {XMLHttpRequest} xhr
 * @param {Blob | Uint8Array<ArrayBuffer> | FormData} body
 * @param {AbortSignal} signal
 * @returns {Promise<void>} resolves when there is an answer, of whatever status
 */
function sent(xhr, body, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => xhr.abort();
    signal.addEventListener("abort", abort, { once: true });
    xhr.addEventListener("load", () => resolve());
    xhr.addEventListener("error", () => reject(unreachable()));
    xhr.addEventListener("abort", () => reject(signal.reason ?? unreachable()));
    xhr.addEventListener("loadend", () => signal.removeEventListener("abort", abort));
    xhr.send(body);
  });
}

/**
 * @param {string} text
 * @returns {Record<string, any> | null} null for anything but a JSON object
 */
function parsed(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}

/**
 * @param {number} status
 * @param {Problem | null} problem
 * @param {number | null} retryAfter seconds
 */
function refusal(status, problem, retryAfter) {
  const facts = { status, problem, retryAfter };
  if (status === 401 || status === 403) {
    return new UploadError(
      "You are no longer signed in. Sign in again, then resume: nothing sent so far is lost.",
      { ...facts, code: "signed_out" },
    );
  }
  const message =
    OBSTACLES[problem?.code ?? ""] ??
    OBSTACLES[status] ??
    problem?.detail ??
    problem?.title ??
    `The server answered in a way not understood (${status}).`;
  if (problem?.code) return new UploadError(message, { ...facts, code: problem.code });
  return new UploadError(message, { ...facts, code: "unexpected_answer", values: { status } });
}

/** @param {unknown} [cause] */
function unreachable(cause) {
  return new UploadError("The server could not be reached.", {
    code: "network",
    values: { reason: "unreachable" },
    cause,
  });
}

function unanswered() {
  return new UploadError("The server has stopped answering.", {
    code: "network",
    values: { reason: "silent" },
  });
}
