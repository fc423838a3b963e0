/** The native protocol over HTTP: its addresses, its headers, its bodies. */

import { UploadError } from "./errors.js";
import { Exchange } from "./exchange.js";
import { SMALL } from "./hashing.js";
import { WorkerQueue } from "./queue.js";

/**
 * @import {
 *   Chunk, ChunkReceipt, ChunkRequestOptions, ChunksToCompare, FileDescription, RequestOptions,
 *   SessionInfo, SessionToResume, Transport, TransportOptions
 * } from "./types.d.ts"
 */

const HANDSHAKE_URL = "/api/v1/uploads/handshake";

/**
 * Browsers open six connections to a server. On a slow line a chunk keeps one for minutes, and
 * meanwhile pages, lists and handshakes need some too.
 */
export const CHUNKS_AT_ONCE = 4;

/** @implements {Transport} */
export class HttpTransport {
  #exchange;
  #handshakeUrl;
  #ticket;
  #line;

  /** @param {TransportOptions} options */
  constructor(options) {
    this.#exchange = new Exchange(options);
    this.#handshakeUrl = options.handshakeUrl ?? HANDSHAKE_URL;
    this.#ticket = options.ticket ?? (() => "");
    this.#line = options.line ?? new WorkerQueue({ limit: CHUNKS_AT_ONCE });
  }

  /**
   * What is hashed in a few hundredths of a second, and by a worker that is not kept for long: so content
   * that the server knows is found before a byte is sent, and one request does where it took two.
   *
   * @param {number} size
   */
  hashesFirst(size) {
    return size <= SMALL;
  }

  /**
   * @param {FileDescription} file
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  handshake(file, options) {
    const ticket = this.#ticket();
    const offer = ticket ? { ...file, ticket } : file;
    return this.#request("POST", this.#handshakeUrl, options, offer);
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
    return this.#request("GET", of(session, "handshake"), options);
  }

  /**
   * @param {SessionToResume} session
   * @param {RequestOptions} [options]
   * @returns {Promise<ChunksToCompare>}
   */
  check(session, options) {
    return this.#request("GET", of(session, "check"), options);
  }

  /**
   * @param {SessionToResume} session
   * @param {number} size
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  declareSize(session, size, options) {
    return this.#request("POST", of(session, "handshake"), options, { size });
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
   * Where the body is a blob, the browser reads it from disk as it goes.
   *
   * @param {SessionInfo} session
   * @param {Chunk} chunk
   * @param {Blob | Uint8Array<ArrayBuffer>} body
   * @param {ChunkRequestOptions} options
   * @returns {Promise<ChunkReceipt>}
   */
  sendChunk(session, chunk, body, { digest, signal, onProgress }) {
    const url = session.urls.chunk.replace("{index}", String(chunk.index));
    const headers = {
      "Content-Type": "application/octet-stream",
      "Content-Digest": digest,
    };
    const send = () => this.#exchange.send("PUT", url, body, { headers, signal, onProgress });
    return this.#line.add(send, { signal });
  }

  /**
   * @param {string} method
   * @param {string} url
   * @param {RequestOptions} [options]
   * @param {object} [json]
   * @returns {Promise<any>}
   */
  #request(method, url, { signal } = {}, json) {
    const body = json && JSON.stringify(json);
    const headers = json && { "Content-Type": "application/json" };
    return this.#exchange.ask(method, url, { body, headers, signal });
  }
}

/**
 * @param {SessionToResume} session
 * @param {"handshake" | "check"} name
 */
function of({ urls }, name) {
  return `${urls.self.replace(/\/$/, "")}/${name}`;
}
