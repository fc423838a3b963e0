/**
 * The native protocol over HTTP. The only file of the module that knows addresses, headers
 * and what a status means for the person.
 */

import { UploadError } from "./errors.js";
import { WorkerQueue } from "./queue.js";
import { parseRetryAfter } from "./retry.js";
import { systemClock } from "./seams.js";

/**
 * @import {
 *   Chunk, ChunkReceipt, ChunkRequestOptions, FileDescription, Problem, RequestOptions,
 *   SessionInfo, SessionToResume, Transport, TransportOptions
 * } from "./types.d.ts"
 */

const HANDSHAKE_URL = "/api/v1/uploads/handshake";

/** Milliseconds without any sign of life; a server that syncs a slow disk needs some. */
const STALL_AFTER = 60_000;

/**
 * Browsers open six connections to a server. On a slow line a chunk keeps one for minutes, and
 * meanwhile pages, lists and handshakes need some too.
 */
const CHUNKS_AT_ONCE = 4;

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

/** @implements {Transport} */
export class HttpTransport {
  #csrfToken;
  #handshakeUrl;
  #own;
  #fetch;
  #createXhr;
  #clock;
  #stallAfter;
  #line = new WorkerQueue({ limit: CHUNKS_AT_ONCE });

  /** @param {TransportOptions} options */
  constructor(options) {
    this.#csrfToken = options.csrfToken;
    this.#handshakeUrl = options.handshakeUrl ?? HANDSHAKE_URL;
    this.#own = options.headers ?? {};
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    this.#createXhr = options.createXhr ?? (() => new XMLHttpRequest());
    this.#clock = options.clock ?? systemClock;
    this.#stallAfter = options.stallAfter ?? STALL_AFTER;
  }

  /**
   * @param {FileDescription} file
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  handshake(file, options) {
    return this.#request("POST", this.#handshakeUrl, options, file);
  }

  /**
   * @param {SessionToResume} session
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  status(session, options) {
    return this.#request("GET", session.urls.self, options);
  }

  /**
   * @param {SessionToResume} session
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  ask(session, options) {
    return this.#request("GET", handshakeOf(session), options);
  }

  /**
   * @param {SessionToResume} session
   * @param {number} size
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  declareSize(session, size, options) {
    return this.#request("POST", handshakeOf(session), options, { size });
  }

  /**
   * @param {SessionInfo} session
   * @param {string} sha256 lowercase hex
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  complete(session, sha256, options) {
    return this.#request("POST", session.urls.complete, options, { sha256 });
  }

  /**
   * @param {SessionToResume} session
   * @param {RequestOptions} [options]
   */
  async cancel(session, options) {
    try {
      await this.#request("DELETE", session.urls.self, options);
    } catch (error) {
      const gone = error instanceof UploadError && [404, 410].includes(error.status);
      if (!gone) throw error;
    }
  }

  /**
   * By XMLHttpRequest, because fetch does not tell how far a body has got. The body is the
   * blob itself: the browser reads it from disk as it goes.
   *
   * @param {SessionInfo} session
   * @param {Chunk} chunk
   * @param {Blob} body
   * @param {ChunkRequestOptions} options
   * @returns {Promise<ChunkReceipt>}
   */
  sendChunk(session, chunk, body, options) {
    const { signal } = options;
    return this.#line.add(() => this.#sendNow(session, chunk, body, options), { signal });
  }

  /**
   * @param {SessionInfo} session
   * @param {Chunk} chunk
   * @param {Blob} body
   * @param {ChunkRequestOptions} options
   * @returns {Promise<ChunkReceipt>}
   */
  #sendNow(session, chunk, body, { digest, signal, onProgress }) {
    const xhr = this.#createXhr();
    xhr.open("PUT", session.urls.chunk.replace("{index}", String(chunk.index)));
    const headers = {
      ...this.#headers("PUT"),
      "Content-Type": "application/octet-stream",
      "Content-Digest": `sha-256=:${digest}:`,
    };
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
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
   * @param {string} url
   * @param {RequestOptions} [options]
   * @param {object} [json]
   * @returns {Promise<any>}
   */
  #request(method, url, { signal } = {}, json) {
    return this.#watched(signal, async (guard) => {
      const response = await this.#fetch(url, {
        method,
        headers: { ...this.#headers(method), ...(json && { "Content-Type": "application/json" }) },
        body: json && JSON.stringify(json),
        cache: "no-store",
        credentials: "same-origin",
        signal: guard,
      });
      const text = await response.text();
      return this.#answer(response.status, response.headers.get("Retry-After"), text);
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

/** @param {SessionToResume} session */
function handshakeOf({ urls }) {
  return `${urls.self.replace(/\/$/, "")}/handshake`;
}

/**
 * @param {XMLHttpRequest} xhr
 * @param {Blob} body
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
