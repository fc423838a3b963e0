/** A server in a few lines, behind the transport's seam: it obeys the protocol or a script. */

import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";

import { UploadError } from "../../../static/js/uploads/errors.js";

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

export function refusal(status, code = `status_${status}`, facts = {}) {
  return new UploadError(`refused with ${status}`, { status, code, ...facts });
}

/** What the server says of a session that fails. */
export const DECEIVED = "What arrived is not the file that was declared.";

export const networkError = () => new UploadError("no network", { code: "network" });

/** What a chunk is sent with. */
const digestOf = (bytes) => `sha-256=:${createHash("sha256").update(bytes).digest("base64")}:`;

/** Reads a blob as the worker would, without one. */
export class FakeHasher {
  files = 0;
  /** How many chunks may be cut ahead, and the passages that were begun. */
  room = 3;
  passages = [];

  async hashFile(blob, { onProgress, signal } = {}) {
    this.files += 1;
    onProgress?.(0);
    const bytes = Buffer.from(await blob.arrayBuffer());
    signal?.throwIfAborted();
    onProgress?.(blob.size);
    return sha256(bytes);
  }

  pass(blob, options) {
    this.files += 1;
    const passage = new FakePassage(blob, options, this.room);
    this.passages.push(passage);
    return { hash: passage.run(), more: () => passage.more() };
  }

  async digest(blob) {
    return digestOf(Buffer.from(await blob.arrayBuffer()));
  }

  /** Any function will do that both sides have. */
  async fingerprint(blob) {
    return sha256(Buffer.from(await blob.arrayBuffer()));
  }
}

/** One file that is hashed chunk by chunk; a test may keep it at one of them. */
class FakePassage {
  #blob;
  #options;
  #room;
  #gate = null;

  constructor(blob, options, room) {
    this.#blob = blob;
    this.#options = options;
    this.#room = room;
  }

  /** It stands still before the chunk at `index`, until that is undone. */
  stopAt(index) {
    this.#gate = { index, ...Promise.withResolvers() };
  }

  goOn() {
    this.#gate?.resolve();
    this.#gate = null;
  }

  more() {
    this.#room += 1;
  }

  async run() {
    const { chunkSize, wanted, onProgress, onChunk, onPassed, signal } = this.#options;
    onProgress?.(0);
    const cut = new Set(wanted());
    const whole = createHash("sha256");
    for (let index = 0; index * chunkSize < this.#blob.size; index += 1) {
      await setImmediate();
      if (this.#gate?.index === index) await Promise.race([this.#gate.promise, abortOf(signal)]);
      signal?.throwIfAborted();
      const part = this.#blob.slice(index * chunkSize, (index + 1) * chunkSize);
      const bytes = new Uint8Array(await part.arrayBuffer());
      whole.update(bytes);
      onProgress?.(index * chunkSize + bytes.length);
      if (!cut.has(index)) continue;
      if (this.#room === 0) onPassed(index);
      else onChunk({ index, bytes, digest: digestOf(bytes) });
      this.#room = Math.max(this.#room - 1, 0);
    }
    return whole.digest("hex");
  }
}

export class FakeServer {
  /** What was asked, in order: "handshake", "chunk 0", "complete", ... */
  log = [];
  /** Chunks on their way, and the most there ever were. */
  inFlight = 0;
  peak = 0;
  aborted = 0;
  sessions = new Map();
  /** In these words, once all is in. */
  refuses = "";
  #scripts = new Map();
  #held = null;

  /**
   * `looks`: how often one has to look at a session that it verifies; at 0 it does so at once.
   * `small`: how many bytes a file may have to be hashed before anything is sent.
   */
  constructor({ chunkSize = 4, existing = [], looks = 0, small = Infinity } = {}) {
    this.chunkSize = chunkSize;
    this.small = small;
    this.existing = new Set(existing);
    this.looks = looks;
  }

  /** The next answers to `method`: an error is thrown, a function called, null is normal. */
  script(method, ...outcomes) {
    this.#scripts.set(method, [...(this.#scripts.get(method) ?? []), ...outcomes]);
  }

  /** Chunks hang from now on, until let go or aborted. */
  hold() {
    this.#held = Promise.withResolvers();
  }

  letGo() {
    this.#held?.resolve();
    this.#held = null;
  }

  /**
   * What a script has sent as a stream when it stopped after `came` bytes, and had said nothing of
   * how many there would be.
   */
  stream(bytes, came, facts = {}) {
    const whole = Math.floor(came / this.chunkSize);
    const { id } = this.begin(bytes, { sha: null, received: [...Array(whole).keys()], ...facts });
    Object.assign(this.session(id), { size: null, tail: came - whole * this.chunkSize });
    return this.info(id);
  }

  /** Opens a session as an earlier visit would have left it. */
  begin(bytes, { filename = "a.bin", folder, received = [], sha = sha256(bytes) } = {}) {
    const session = {
      id: `s${this.sessions.size + 1}`,
      filename,
      folder,
      size: bytes.length,
      sha256: sha,
      state: bytes.length === 0 ? "completed" : "active",
      chunks: new Map(received.map((index) => [index, this.#cut(bytes, index)])),
    };
    this.sessions.set(session.id, session);
    return this.#info(session);
  }

  session(id) {
    return this.sessions.get(id);
  }

  /** The session as it answers for it. */
  info(id) {
    return this.#info(this.session(id));
  }

  content(id) {
    const { chunks } = this.session(id);
    return Buffer.concat([...chunks].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
  }

  chunksSent() {
    const sent = this.log.filter((entry) => entry.startsWith("chunk "));
    return sent.map((entry) => Number(entry.slice("chunk ".length)));
  }

  count(method) {
    return this.log.filter((entry) => entry === method).length;
  }

  // ------------------------------------------------------------- the transport

  hashesFirst(size) {
    return size <= this.small;
  }

  async handshake(file) {
    this.description = file;
    await this.#heard("handshake");
    if (this.existing.has(file.sha256)) {
      const session = { ...file, id: "existing", state: "completed", chunks: new Map() };
      this.sessions.set(session.id, session);
      return { ...this.#info(session), missing: [], status: "file_exists" };
    }
    const declared = [...this.sessions.values()].find(
      ({ sha256: sha, state }) =>
        sha && sha === file.sha256 && ["active", "assembling"].includes(state),
    );
    const open = declared ?? this.#underKey(file);
    if (open) return { ...this.#info(open), status: "resumed" };
    const known = this.#completed(file);
    if (known) return { ...this.#info(known), status: "file_exists" };
    const state = file.size === 0 ? "completed" : "active";
    const created = this.#opened({ sha256: null, ...file, state, chunks: new Map() });
    return { ...this.#info(created), status: "created" };
  }

  async check({ id }) {
    await this.#heard("check", "check", { id });
    const { chunks } = this.#find(id);
    const sorted = [...chunks].sort(([a], [b]) => a - b);
    const named = new Map([...sorted.slice(0, 1), ...sorted.slice(-1)]);
    return {
      chunks: [...named].map(([index, bytes]) => {
        const offset = index * this.chunkSize;
        return { index, offset, length: bytes.length, blake3: sha256(bytes) };
      }),
    };
  }

  async status({ id }) {
    return this.#question("status", id);
  }

  async ask({ id }) {
    return this.#question("ask", id);
  }

  async declareSize({ id }, size) {
    await this.#heard(`size ${size}`, "declareSize");
    const session = this.#find(id);
    if ((session.size ?? size) !== size || this.#offset(session) > size) {
      throw refusal(400, "length_mismatch");
    }
    session.size = size;
    return this.#info(session);
  }

  async sendChunk({ id }, { index }, body, { digest, signal, onProgress }) {
    this.inFlight += 1;
    this.peak = Math.max(this.peak, this.inFlight);
    try {
      const scripted = this.#heard(`chunk ${index}`, "chunk", { id, index, onProgress });
      await Promise.race([scripted.then(() => this.#held?.promise), abortOf(signal)]);
      const bytes = Buffer.from(await new Blob([body]).arrayBuffer());
      return this.#receive(id, index, bytes, digest);
    } catch (error) {
      if (signal?.aborted) this.aborted += 1;
      throw error;
    } finally {
      this.inFlight -= 1;
    }
  }

  async complete({ id }, declared) {
    const answer = await this.#heard("complete", "complete", { id });
    if (answer) return answer;
    const session = this.#find(id);
    if (!["active", "assembling"].includes(session.state)) return this.#info(session);
    const { missing } = this.#info(session);
    if (missing.length > 0) throw refusal(409, "chunks_missing", { problem: { missing } });
    session.sha256 ??= declared;
    session.state = "assembling";
    session.looks = this.looks;
    this.#verify(session);
    return this.#info(session);
  }

  async cancel({ id }) {
    await this.#heard("cancel");
    this.#find(id).state = "cancelled";
  }

  // ---------------------------------------------------------------- inside

  async #question(method, id) {
    const answer = await this.#heard(method, method, { id });
    const session = this.#find(id);
    if (method === "status") this.#verify(session);
    return answer ?? this.#info(session);
  }

  #verify(session) {
    if (session.state !== "assembling") return;
    session.looks = (session.looks ?? 0) - 1;
    if (session.looks >= 0) return;
    if (this.refuses) return Object.assign(session, { state: "failed", error: this.refuses, refused: true });
    const agrees = session.sha256 === sha256(this.content(session.id));
    Object.assign(session, agrees ? { state: "completed" } : { state: "failed", error: DECEIVED });
  }

  #opened(session) {
    const opened = { id: `s${this.sessions.size + 1}`, ...session };
    this.sessions.set(opened.id, opened);
    return opened;
  }

  /** The open session with that key; a hash that comes with it is declared. */
  #underKey({ resume_key: key, sha256: sha }) {
    const open = [...this.sessions.values()].find(
      (each) => key && each.resume_key === key && ["active", "assembling"].includes(each.state),
    );
    if (!open || (sha && open.sha256 && open.sha256 !== sha)) return null;
    if (!sha) return open;
    open.sha256 = sha;
    if (this.#info(open).missing.length === 0) {
      Object.assign(open, { state: "assembling", looks: this.looks });
      this.#verify(open);
    }
    return open;
  }

  /** The completed session of that content, name and folder; a new one where only those differ. */
  #completed({ sha256: sha, filename, folder = "" }) {
    const all = [...this.sessions.values()];
    const same = all.filter((each) => sha && each.sha256 === sha && each.state === "completed");
    if (same.length === 0) return null;
    const own = same.find((each) => each.filename === filename && (each.folder ?? "") === folder);
    return own ?? this.#opened({ ...same[0], id: `s${all.length + 1}`, filename, folder });
  }

  #receive(id, index, bytes, digest) {
    const session = this.#find(id);
    if (digestOf(bytes) !== digest) throw refusal(422, "digest_mismatch");
    const duplicate = session.chunks.has(index);
    if (duplicate && !session.chunks.get(index).equals(bytes)) throw refusal(409, "chunk_conflict");
    session.chunks.set(index, bytes);
    if (!duplicate) session.tail = 0;
    const { state, received_chunks, total_chunks, progress } = this.#info(session);
    return { index, duplicate, state, received_chunks, total_chunks, progress };
  }

  async #heard(entry, method = entry, facts = {}) {
    this.log.push(entry);
    const outcome = this.#scripts.get(method)?.shift() ?? null;
    if (outcome instanceof Error) throw outcome;
    return typeof outcome === "function" ? outcome(facts) : undefined;
  }

  #find(id) {
    const session = this.sessions.get(id);
    if (!session) throw refusal(404, "session_not_found");
    return session;
  }

  #cut(bytes, index) {
    return Buffer.from(bytes.subarray(index * this.chunkSize, (index + 1) * this.chunkSize));
  }

  #offset({ chunks, tail = 0 }) {
    let bytes = 0;
    for (let index = 0; chunks.has(index); index += 1) bytes += chunks.get(index).length;
    return bytes + tail;
  }

  #info(session) {
    const { id, filename, folder = "", size, sha256: sha, state, chunks, error, refused } = session;
    const total = size === null ? null : Math.ceil(size / this.chunkSize);
    const indices = [...Array(total ?? 0).keys()];
    return {
      id,
      state,
      filename,
      folder,
      size,
      chunk_size: this.chunkSize,
      total_chunks: total,
      received_chunks: chunks.size,
      offset: this.#offset(session),
      missing: total === null ? null : indices.filter((index) => !chunks.has(index)),
      progress: progressOf(chunks.size, total),
      sha256: sha,
      expires_at: null,
      ...(error && { error }),
      ...(refused && { refused }),
      urls: { self: `/u/${id}`, chunk: `/u/${id}/chunks/{index}`, complete: "", content: "" },
    };
  }
}

function progressOf(count, total) {
  if (total === null) return 0;
  return total ? (100 * count) / total : 100;
}

function abortOf(signal) {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
