/**
 * The chunked-upload protocol over HTTP: one file in pieces, each a form, in their order; at the
 * end its MD5. An `Upload` over it sends one piece at a time (`parallel: 1`), and its hasher is one
 * of MD5. Nothing is found by its hash here, and every file begins an upload of its own.
 */

import { UploadError } from "./errors.js";
import { Exchange } from "./exchange.js";
import { ChunkPlan } from "./plan.js";

/**
 * @import {
 *   Chunk, ChunkedTransportOptions, ChunkReceipt, ChunkRequestOptions, FileDescription,
 *   RequestOptions, SessionInfo, SessionState, SessionToResume, Transport
 * } from "./types.d.ts"
 */

/** Bytes: the server's own chunks, so that each piece is one. What is cut off comes again whole. */
const PIECE = 5 * 1024 * 1024;

/** Refusals of a piece, or of the end, that say where to go on. */
const GOES_ON_ELSEWHERE = ["offset_mismatch", "chunks_missing"];

/** @implements {Transport} */
export class ChunkedTransport {
  #exchange;
  #urls;
  #pieceSize;
  /** The media type that the browser gave the file; its pieces have none by themselves. */
  #type = "";
  /** The upload that was spoken of last, and how many of its bytes are in. */
  #id = "";
  #offset = 0;
  /** Where to ask how the verification is going. @type {string | null} */
  #statusUrl = null;

  /** @param {ChunkedTransportOptions} options */
  constructor(options) {
    this.#exchange = new Exchange(options);
    this.#urls = options;
    this.#pieceSize = options.pieceSize ?? PIECE;
  }

  /** Its digest is said at the end in any case; but where it is known first, a change is found out first. */
  hashesFirst() {
    return true;
  }

  /**
   * An empty first piece: from its answer on the upload has an id, whatever becomes of the next.
   *
   * @param {FileDescription} file
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  async handshake(file, options) {
    this.#type = file.mime_type ?? "";
    const first = { id: "", filename: file.filename, size: file.size };
    const { upload_id: id, offset } = await this.#post(this.#form(first, this.#typed()), options);
    return { ...this.#described({ ...first, id }, offset), status: "created" };
  }

  /**
   * @param {SessionToResume} session
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  async status(session, options) {
    if (this.#statusUrl === null) return this.ask(session, options);
    const { state, offset, error } = await this.#exchange.ask("GET", this.#statusUrl, options);
    return { ...this.#described(session, offset, state), error };
  }

  /**
   * An empty piece where the upload was last known to go on. If it goes on elsewhere, the refusal
   * says where.
   *
   * @param {SessionToResume} session
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  async ask(session, options) {
    const form = this.#form(session, this.#typed());
    const known = session.id === this.#id ? this.#offset : (session.offset ?? 0);
    form.set("offset", String(known));
    try {
      const { offset } = await this.#post(form, options);
      return this.#described(session, offset);
    } catch (error) {
      return this.#understood(session, error);
    }
  }

  /** This protocol cannot compare what is in. Its MD5 does. */
  async check() {
    return { chunks: [] };
  }

  /**
   * The size is said with every piece.
   *
   * @param {SessionToResume} session
   * @param {number} _
   * @param {RequestOptions} [options]
   */
  declareSize(session, _, options) {
    return this.ask(session, options);
  }

  /**
   * What is in of the chunk is not sent again.
   *
   * @param {SessionInfo} session
   * @param {Chunk} chunk
   * @param {Blob | Uint8Array<ArrayBuffer>} body
   * @param {ChunkRequestOptions} options
   * @returns {Promise<ChunkReceipt>}
   */
  async sendChunk(session, chunk, body, { signal, onProgress }) {
    const start = Math.max(chunk.start, this.#offset);
    if (start >= chunk.end) return this.#receipt(session, chunk, true);
    const form = this.#form(session, this.#typed(new Blob([body]).slice(start - chunk.start)));
    const headers = { "Content-Range": `bytes ${start}-${chunk.end - 1}/${session.size}` };
    const told = (/** @type {number} */ bytes) => onProgress?.(start - chunk.start + bytes);
    try {
      const { uploadUrl } = this.#urls;
      const options = { headers, signal, onProgress: told };
      this.#offset = (await this.#exchange.send("POST", uploadUrl, form, options)).offset;
    } catch (error) {
      // If it goes on behind this chunk, the answer to it had been lost.
      if (this.#elsewhere(error) !== chunk.end) throw asStale(error);
    }
    return this.#receipt(session, chunk, false);
  }

  /**
   * @param {SessionInfo} session
   * @param {string} md5 lowercase hex
   * @param {RequestOptions} [options]
   * @returns {Promise<SessionInfo>}
   */
  async complete(session, md5, options) {
    const body = new URLSearchParams({ upload_id: session.id, md5 });
    try {
      const { completeUrl } = this.#urls;
      const answer = await this.#exchange.ask("POST", completeUrl, { ...options, body });
      this.#statusUrl = answer.status_url ?? null;
      const state = this.#statusUrl === null ? "completed" : "assembling";
      return this.#described(session, answer.offset, state);
    } catch (error) {
      return this.#understood(session, error);
    }
  }

  /**
   * Without an address for that, the upload is left to expire.
   *
   * @param {Pick<SessionToResume, "id">} session
   * @param {RequestOptions} [options]
   */
  async cancel(session, options) {
    const url = this.#urls.sessionUrl?.replace("{id}", dashed(session.id));
    if (!url) return;
    try {
      await this.#exchange.ask("DELETE", url, options);
    } catch (error) {
      const gone = error instanceof UploadError && [404, 410].includes(error.status);
      if (!gone) throw error;
    }
  }

  /**
   * @param {FormData} form
   * @param {RequestOptions} [options]
   */
  #post(form, options) {
    return this.#exchange.ask("POST", this.#urls.uploadUrl, { ...options, body: form });
  }

  /**
   * @param {Pick<SessionToResume, "id" | "filename">} session
   * @param {Blob} piece
   */
  #form({ id, filename }, piece) {
    const form = new FormData();
    if (id) form.set("upload_id", id);
    form.set("filename", filename);
    form.set("file", piece, filename);
    return form;
  }

  /** @param {Blob} [piece] */
  #typed(piece = new Blob()) {
    return piece.slice(0, piece.size, this.#type);
  }

  /**
   * The session that a refusal tells of, if it does.
   *
   * @param {SessionToResume} session
   * @param {unknown} error
   * @returns {SessionInfo}
   */
  #understood(session, error) {
    const offset = this.#elsewhere(error);
    if (offset !== null) return this.#described(session, offset);
    if (!(error instanceof UploadError)) throw error;
    const { code, message, values } = error;
    // The file has changed, or was damaged on its way: none of it can be used.
    if (code === "digest_mismatch") {
      this.cancel(session).catch(() => {});
      return { ...this.#described(session, this.#offset, "failed"), error: message };
    }
    if (code === "session_failed") {
      return { ...this.#described(session, this.#offset, "failed"), error: message };
    }
    // Complete, or about to be: the answer that said so had been lost.
    const { state } = values;
    if (state === "completed" || state === "assembling") {
      return this.#described(session, this.#offset, state);
    }
    throw error;
  }

  /**
   * Where the upload goes on, when that is why it was refused.
   *
   * @param {unknown} error
   * @returns {number | null}
   */
  #elsewhere(error) {
    if (!(error instanceof UploadError) || !GOES_ON_ELSEWHERE.includes(error.code)) return null;
    this.#offset = Number(error.values.offset);
    return this.#offset;
  }

  /**
   * As the native protocol would describe it, on a grid of our pieces.
   *
   * @param {Pick<SessionToResume, "id" | "filename" | "size">} session
   * @param {number} offset
   * @param {SessionState} [state]
   * @returns {SessionInfo}
   */
  #described({ id, filename, size }, offset, state = "active") {
    [this.#id, this.#offset] = [id, offset];
    const plan = new ChunkPlan(size ?? 0, this.#pieceSize);
    const whole = offset === plan.size ? plan.total : Math.floor(offset / plan.chunkSize);
    const missing = Array.from({ length: plan.total - whole }, (_, index) => whole + index);
    return {
      id,
      state,
      filename,
      folder: "",
      size,
      chunk_size: plan.chunkSize,
      total_chunks: plan.total,
      received_chunks: whole,
      offset,
      missing,
      progress: plan.size ? (offset / plan.size) * 100 : 100,
      // Its digest is another one here.
      sha256: null,
      expires_at: null,
      urls: { self: "", chunk: "", complete: "", content: "" },
    };
  }

  /**
   * @param {SessionInfo} session
   * @param {Chunk} chunk
   * @param {boolean} duplicate
   * @returns {ChunkReceipt}
   */
  #receipt(session, { index }, duplicate) {
    const { received_chunks, progress } = this.#described(session, this.#offset);
    const { total_chunks } = session;
    return { index, duplicate, state: "active", received_chunks, total_chunks, progress };
  }
}

/**
 * As all other addresses have it.
 *
 * @param {string} id
 */
function dashed(id) {
  return id.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * The protocol has one status for nearly all; the upload asks how things are after a 409.
 *
 * @param {unknown} error
 */
function asStale(error) {
  const elsewhere = error instanceof UploadError && GOES_ON_ELSEWHERE.includes(error.code);
  if (!elsewhere && !(error instanceof UploadError && error.code === "wrong_state")) return error;
  const { message, code, values, problem } = error;
  return new UploadError(message, { code, values, problem, status: 409, cause: error });
}
