/**
 * The vocabulary of the upload module. The JavaScript beside this file is checked
 * against it (`tsc -p tsconfig.json`), so the two cannot drift apart.
 *
 * Sizes are bytes, durations milliseconds, moments milliseconds since the epoch,
 * unless a comment says otherwise. Field names in snake_case come from the server.
 */

// ---------------------------------------------------------------- the file, in chunks

/** A slice of the file on the server's grid: bytes `start` up to, not including, `end`. */
export interface Chunk {
  /** Counted from 0. */
  readonly index: number;
  readonly start: number;
  readonly end: number;
  /** `end - start`; only the last chunk may be shorter than the others. */
  readonly size: number;
}

/** What an upload needs of a `File`; a `Blob` with a name will do in tests. */
export interface SourceFile extends Blob {
  readonly name: string;
  readonly lastModified: number;
}

// -------------------------------------------------------------- what the server says

export type SessionState =
  "active" | "assembling" | "completed" | "failed" | "cancelled" | "expired";

/** The body of the handshake and of every question about a session. */
export interface SessionInfo {
  /** Only a handshake by POST answers this. */
  readonly status?: "created" | "resumed" | "file_exists";
  readonly id: string;
  readonly state: SessionState;
  readonly filename: string;
  /** The relative folder the file came from, "photos/2026"; empty when none. */
  readonly folder: string;
  /** Null while nobody has declared it: what a script streams may end anywhere. */
  readonly size: number | null;
  readonly chunk_size: number;
  /** Null while the size is. */
  readonly total_chunks: number | null;
  readonly received_chunks: number;
  /** Bytes that are in from the beginning without a gap. */
  readonly offset: number;
  /** Indices the server still needs, as of the answer that listed them; null while the size is. */
  readonly missing: readonly number[] | null;
  /** 0 to 100. */
  readonly progress: number;
  /** Lowercase hex, or null when no hash was declared yet. */
  readonly sha256: string | null;
  /** ISO 8601, UTC. */
  readonly expires_at: string | null;
  /** Why it failed, or that its stored file is damaged, in a sentence; else absent. */
  readonly error?: string;
  /** It failed because a validator of the site does not take its content: `error` says why. */
  readonly refused?: true;
  readonly urls: SessionUrls;
}

export interface SessionUrls {
  readonly self: string;
  /** Ends in `/chunks/{index}`, with the braces. */
  readonly chunk: string;
  readonly complete: string;
  readonly content: string;
}

/**
 * What is known of an interrupted session when the person presses Resume. A full
 * `SessionInfo` will do; a page that has less (from data attributes) gives this much.
 */
export interface SessionToResume {
  readonly id: string;
  readonly filename: string;
  /** Absent is the same as empty. */
  readonly folder?: string;
  /** Null while nobody has declared it: then its file has `offset` bytes or more. */
  readonly size: number | null;
  /** Bytes that are in from the beginning without a gap; absent is the same as 0. */
  readonly offset?: number;
  readonly sha256: string | null;
  readonly urls: { readonly self: string };
}

/** The answer to one chunk. */
export interface ChunkReceipt {
  readonly index: number;
  /** The server had these very bytes already. */
  readonly duplicate: boolean;
  readonly state: SessionState;
  readonly received_chunks: number;
  readonly total_chunks: number | null;
  readonly progress: number;
}

/** Some of the chunks that are in; none where no chunk is. */
export interface ChunksToCompare {
  readonly chunks: readonly {
    readonly index: number;
    /** Where it begins in the file, and its bytes. */
    readonly offset: number;
    readonly length: number;
    /** Lowercase hex. */
    readonly blake3: string;
  }[];
}

/** RFC 9457 `application/problem+json`, with the stable `code` of this project. */
export interface Problem {
  readonly type?: string;
  readonly code?: string;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly missing?: readonly number[];
  readonly [extension: string]: unknown;
}

// ----------------------------------------------------------------------- going wrong

/**
 * Why an upload failed; `UploadError` implements it. The message is a sentence in English, the
 * code is for the program, and `values` is what a sentence in another language needs. The code
 * is the server's own, and then `values` are the members of its problem; or one of ours, with:
 *
 * - `wrong_file`, not the file that the session was begun with: `WrongFileValues`
 * - `source_changed`, the file was changed, moved or deleted while it was being sent: nothing
 * - `signed_out`, sign in again, then `resume()`, nothing is lost: the problem, if there was one
 * - `network`, the server could not be reached: `reason`, one of `unreachable` (no connection),
 *   `silent` (no answer in time), `offline` (the browser says there is no network)
 * - `unexpected_answer`, something answered that is not our server, a proxy, a portal: `status`,
 *   which may be a 429, 503 or 507 that a proxy answers while the server is busy or full
 * - `verification_failed`, the server hashed the file and it is not the one announced: `error`,
 *   the server's own sentence or null
 * - `content_refused`, the server has looked at the content and does not take it: `error`, its words
 * - `not_finishing`, the server finds the upload damaged again and again: `repairs`, how often
 * - `session_gone`, the session vanished, and so did the one begun in its place: nothing
 * - `hashing_failed`, the hash worker could not run: nothing
 * - `internal`, a defect of this module; the original is in `cause`: nothing
 *
 * Of the server's, the ones that are waited out are `storage_full`, `storage_unavailable`,
 * `unavailable` and `busy`: nothing is lost, and the person need not do anything.
 */
export interface UploadFailure extends Error {
  readonly code: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** HTTP status, 0 when there was no answer. */
  readonly status: number;
  readonly problem: Problem | null;
  /** Seconds the server asked us to wait, null when it did not. */
  readonly retryAfter: number | null;
}

/**
 * - `size`: the session expects `expectedSize` bytes, the file has `size`
 * - `shorter`: nobody has said how many bytes the session expects, but `expectedSize` are in
 *   already, and the file has fewer
 * - `content`: of the right size, but other bytes; under the same name when `filename` and
 *   `expected` are equal
 */
export interface WrongFileValues {
  readonly reason: "size" | "shorter" | "content";
  /** Of the file that was chosen. */
  readonly filename: string;
  readonly size: number;
  /** Name of the file that the session was begun with. */
  readonly expected: string;
  readonly expectedSize: number;
}

// ------------------------------------------------------------------------- an upload

/**
 * - `waiting`: for its turn to be hashed or to be sent, or until another upload of the same
 *   content has come to rest, for nothing is sent twice
 * - `checking`: the file is being hashed (`checked` grows), or compared with what the server has of it
 * - `sending`: chunks are on their way; a large file is hashed meanwhile
 * - `paused`: by the person; `resume()` goes on
 * - `offline`: the browser says there is no network; goes on by itself
 * - `retrying`: everything waits for `retryAt`; goes on by itself
 * - `verifying`: all sent, the server is hashing
 * - `done`, `failed`, `cancelled`: at rest (`failed` may be resumed)
 */
export type UploadPhase =
  | "waiting"
  | "checking"
  | "sending"
  | "paused"
  | "offline"
  | "retrying"
  | "verifying"
  | "done"
  | "failed"
  | "cancelled";

/** A snapshot; ask for a new one after each `change` event. */
export interface UploadStatus {
  readonly phase: UploadPhase;
  readonly filename: string;
  /** The relative folder it was chosen from, "photos/2026"; empty when none. */
  readonly folder: string;
  /** Size of the file. */
  readonly total: number;
  /** Bytes hashed so far; equals `total` when the check is over. */
  readonly checked: number;
  /** While `checking`: it is compared with what the server has of it. */
  readonly comparing: boolean;
  /** Bytes the server has confirmed; these are never sent again. */
  readonly acknowledged: number;
  /** `acknowledged` plus what is on its way. May fall when a chunk has to go again. */
  readonly sent: number;
  /** Bytes per second, smoothed over several seconds; 0 when nothing moves. */
  readonly speed: number;
  /** Seconds until all is sent at this speed; null when it cannot be told. */
  readonly timeLeft: number | null;
  /** When the next attempt is due; null unless `retrying`. */
  readonly retryAt: number | null;
  /** What ended the upload, or what it is now waiting out; null when all is well. */
  readonly error: UploadFailure | null;
  /** The server already had this content, however much was sent before that was known. */
  readonly existed: boolean;
  /** The session as the server last described it; null before the first handshake. */
  readonly session: SessionInfo | null;
}

export interface UploadOptions extends Partial<Seams> {
  readonly file: SourceFile;
  readonly transport: Transport;
  readonly hasher: Hasher;
  /** Where the file lies in what was chosen, "photos/2026"; no slash at either end. */
  readonly folder?: string;
  /** Chunks in flight at once, 3 by default. */
  readonly parallel?: number;
  /** The interrupted session that this file is meant to continue. */
  readonly session?: SessionToResume | null;
  /** Bounds how many files are sent at once; the `Uploader` gives it. */
  readonly turn?: Turn;
  /** The other uploads of the page, as far as this one must know of them. */
  readonly company?: Company;
  /** Told how many more bytes of chunks have left the browser. */
  readonly onSent?: (bytes: number) => void;
}

/** Runs `work` when it is this upload's turn; rejects when `signal` aborts the wait. */
export type Turn = <T>(
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
) => Promise<T>;

export interface Company {
  /**
   * Runs `work` when no other upload of this content is at it; rejects when `signal` aborts. `content` is
   * its hash, or before that is known, the key of the file.
   */
  alone<T>(
    content: string,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T>;
  /** Whether `alone` would not have to wait. */
  isFree(content: string): boolean;
  /** Whether another upload that is not at rest is of as many bytes: it may be of the same content. */
  hasTwin(upload: UploadHandle): boolean;
  /** Runs `work`, the first looks at a session being verified, when there are few others. */
  readonly watch: Turn;
  /** Whether an upload other than this one, which is not cancelled, is at that session too. */
  shares(sessionId: string, upload: UploadHandle): boolean;
}

/** Events: `change`, after any change of `status`. */
export interface UploadHandle extends EventTarget {
  readonly file: SourceFile;
  /** Bytes of the file, as it was when it was chosen. */
  readonly size: number;
  readonly folder: string;
  readonly status: UploadStatus;
  /** As in `status`, for a fraction of its cost. */
  readonly phase: UploadPhase;
  /** Of its session, or of the one it was offered; null when there is neither. */
  readonly sessionId: string | null;
  /** Indices of the chunks on their way at this moment. */
  readonly inFlight: number[];
  /** Chunks in flight at once; may be set while the upload runs. */
  parallel: number;
  /** These resolve when the upload comes to rest, paused included, and never reject. */
  start(): Promise<UploadStatus>;
  /** Also ends a wait for the next attempt. */
  resume(): Promise<UploadStatus>;
  pause(): void;
  /** Resolves when the server has been told. */
  cancel(): Promise<UploadStatus>;
}

export interface UploaderOptions extends Partial<Seams> {
  readonly transport: Transport;
  readonly hasher: Hasher;
  /** Files sent at once, 1 to 10; 3 by default. */
  readonly files?: number;
  /** Chunks in flight per file, 3 by default. */
  readonly parallel?: number;
}

/** A file and where it is to go; `Uploader.add` and `Uploader.addAll` take it. */
export interface Addition {
  readonly file: SourceFile;
  readonly folder?: string;
  /** The interrupted session it continues. */
  readonly session?: SessionToResume | null;
}

/**
 * All uploads of the page's present batch together, as `Uploader.totals` answers it. A batch
 * begins with the first upload added after everything had come to rest. What was done and then
 * removed still counts; what failed and was removed, or was cancelled, has left it.
 */
export interface UploadTotals {
  readonly files: number;
  readonly done: number;
  readonly failed: number;
  readonly paused: number;
  /** Neither done, failed, paused nor cancelled. */
  readonly active: number;
  /** Sizes of all `files`. */
  readonly bytes: number;
  /** Acknowledged, or on the way; what is done counts whole. */
  readonly bytesSent: number;
  /** Bytes per second of all together, smoothed; 0 when nothing moves. */
  readonly speed: number;
  /** Seconds until what is active is sent at this speed; null when it cannot be told. */
  readonly timeLeft: number | null;
  /** Some uploads wait for the network, and nothing is being sent. */
  readonly waitingForNetwork: boolean;
  /** The earliest moment at which one that waits tries again; null when none does. */
  readonly nextAttempt: number | null;
}

// --------------------------------------------------------------------- what was chosen

/** A file that was dropped, pasted or chosen. */
export interface ChosenFile {
  readonly file: File;
  /** "photos/2026" for `photos/2026/a.jpg`; empty for a file on its own. */
  readonly folder: string;
}

/** What came of a drop. */
export interface Choice {
  /** Folder by folder, in order of name. */
  readonly files: ChosenFile[];
  /** Paths of files and folders that could not be read. */
  readonly unreadable: string[];
  /** How many folders without anything in them were met. */
  readonly empty: number;
}

/** What `match` takes, the files it gives back, and any more they may carry. */
export interface Candidate {
  readonly file: SourceFile;
  readonly folder: string;
}

/**
 * - `same_name_other_size`: `session` is the interrupted upload of that name; it expects
 *   `session.size` bytes, or where that is null, at least `session.offset`
 * - `no_such_upload`: no interrupted upload, or none that is left, has that name or that size
 */
export type Mismatch = "same_name_other_size" | "no_such_upload";

export interface Matching {
  readonly pairs: (Candidate & { readonly session: SessionToResume })[];
  readonly unmatched: (Candidate & {
    readonly reason: Mismatch;
    readonly session: SessionToResume | null;
  })[];
}

// ----------------------------------------------------------------------- worker queue

export interface JobOptions {
  /** Takes the job out of the queue, or aborts it when it already runs. */
  readonly signal?: AbortSignal;
}

/** Runs jobs first come, first served, at most `limit` at once. */
export interface WorkerQueue {
  /** May be changed while jobs run; a lower limit lets the running ones finish. */
  limit: number;
  readonly running: number;
  readonly waiting: number;
  readonly paused: boolean;
  /** Settles as the job does; rejects with the reason when it is cleared or aborted. */
  add<T>(job: (signal: AbortSignal) => Promise<T>, options?: JobOptions): Promise<T>;
  /** Lets jobs begin (again). A new queue is started. */
  start(): void;
  /** Lets no further job begin; those that run go on. */
  pause(): void;
  /** Drops what waits and aborts what runs. The queue may be used again. */
  clear(reason?: unknown): void;
}

// ------------------------------------------------------------------------------ seams

export interface FileDescription {
  readonly filename: string;
  /** Left out when empty. */
  readonly folder?: string;
  readonly size: number;
  readonly sha256?: string;
  readonly resume_key?: string;
  readonly mime_type?: string;
  readonly chunk_size?: number;
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
}

export interface ChunkRequestOptions extends RequestOptions {
  /** The value of `Content-Digest`. */
  readonly digest: string;
  /** Told how many bytes of this chunk have left the browser. */
  readonly onProgress?: (bytes: number) => void;
}

/** How an upload talks to the server. Every method rejects with an `UploadError`. */
export interface Transport {
  /** Whether a file of that size is hashed before its session is opened, or while it is sent. */
  hashesFirst(size: number): boolean;
  handshake(file: FileDescription, options?: RequestOptions): Promise<SessionInfo>;
  /** The session as it is now; the light question, asked while the server verifies. */
  status(session: SessionToResume, options?: RequestOptions): Promise<SessionInfo>;
  /** What the server holds and what it lacks, before sending goes on. */
  ask(session: SessionToResume, options?: RequestOptions): Promise<SessionInfo>;
  /** By which chunks a file is known again that is meant to go on with the session. */
  check(session: SessionToResume, options?: RequestOptions): Promise<ChunksToCompare>;
  /** The session with its size declared, which fixes it; may be asked again. */
  declareSize(
    session: SessionToResume,
    size: number,
    options?: RequestOptions,
  ): Promise<SessionInfo>;
  sendChunk(
    session: SessionInfo,
    chunk: Chunk,
    body: Blob | Uint8Array<ArrayBuffer>,
    options: ChunkRequestOptions,
  ): Promise<ChunkReceipt>;
  /** The session, which the server is verifying or has verified; may be asked again. */
  complete(session: SessionInfo, sha256: string, options?: RequestOptions): Promise<SessionInfo>;
  /** A session that is already gone counts as cancelled. */
  cancel(session: SessionToResume, options?: RequestOptions): Promise<void>;
}

/** How requests reach the server. */
export interface Connection {
  /** The CSRF token at this moment; Django changes it at sign-in. */
  readonly csrfToken: () => string;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly fetch?: typeof fetch;
  readonly createXhr?: () => XMLHttpRequest;
  readonly clock?: Clock;
  /** Silence after which a request counts as lost. */
  readonly stallAfter?: number;
}

export interface TransportOptions extends Connection {
  /** `/api/v1/uploads/handshake` by default. */
  readonly handshakeUrl?: string;
  /** That of a form's page at this moment: what is begun is for that form, and within its limits. */
  readonly ticket?: () => string;
  /** Bounds the chunks in flight; transports of one page that share it wait for one another. */
  readonly line?: WorkerQueue;
}

export interface ChunkedTransportOptions extends Connection {
  /** The two addresses of the chunked-upload protocol, bound to what the file is for. */
  readonly uploadUrl: string;
  readonly completeUrl: string;
  /** Bytes of a piece, 5 MiB by default. */
  readonly pieceSize?: number;
  /** Where an upload can be cancelled, with `{id}` for its id; the protocol has no address of its own. */
  readonly sessionUrl?: string;
}

/** A chunk that was cut out of the file while it was hashed. */
export interface PassingChunk {
  readonly index: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The value of `Content-Digest`, RFC 9530. */
  readonly digest: string;
}

export interface HashOptions {
  /** Told 0 when hashing begins, then the bytes hashed so far. */
  readonly onProgress?: (bytes: number) => void;
  readonly signal?: AbortSignal;
}

export interface PassOptions extends HashOptions {
  readonly chunkSize: number;
  /** Which chunks are to be cut, asked when hashing begins: ascending. */
  readonly wanted: () => number[];
  readonly onChunk: (chunk: PassingChunk) => void;
  /** A chunk that was wanted went by, for want of room: it is not cut. */
  readonly onPassed: (index: number) => void;
}

/** SHA-256, which is what the native protocol needs, or MD5 for the one of chunked uploads. */
export interface Hasher {
  /** Hash of the whole file, lowercase hex; a small one never waits behind a large one. */
  hashFile(blob: Blob, options?: HashOptions): Promise<string>;
  /**
   * The same of a large file, whose chunks are cut as they come by: of each that is wanted either
   * `onChunk` or `onPassed` is told. Few are cut ahead; `more` is to be called for each that was taken.
   */
  pass(blob: Blob, options: PassOptions): { hash: Promise<string>; more: () => void };
  /** What a chunk is sent with, the value of `Content-Digest`; never waits behind a whole file. */
  digest(blob: Blob, options?: { readonly signal?: AbortSignal }): Promise<string>;
  /** BLAKE3, lowercase hex, as the server knows a chunk; never waits behind a whole file. */
  fingerprint(blob: Blob, options?: { readonly signal?: AbortSignal }): Promise<string>;
}

export type HashAlgorithm = "sha256" | "md5" | "blake3";

export interface HasherOptions {
  /** Of whole files; SHA-256 by default. */
  readonly algorithm?: "sha256" | "md5";
  /** URL of `hash-worker.js` as the page's static files name it. */
  readonly workerUrl: string;
  readonly createWorker?: (url: string) => HashWorker;
  readonly clock?: Clock;
}

/** The part of `Worker` that the hasher uses. */
export interface HashWorker {
  postMessage(message: HashRequest): void;
  addEventListener(type: string, listener: (event: any) => void): void;
  terminate(): void;
}

/** Which chunks to cut out of a file, and how many before somebody says that there is more room. */
export interface CutOptions {
  readonly chunkSize: number;
  readonly wanted: readonly number[];
  readonly room: number;
}

/** To the hash worker. */
export type HashRequest =
  | { type: "hash"; id: number; blob: Blob; algorithm: HashAlgorithm; cut?: CutOptions }
  | { type: "digest"; id: number; blob: Blob }
  | { type: "more"; id: number }
  | { type: "cancel"; id: number };

/** From the hash worker. */
export type HashReply =
  | { type: "progress"; id: number; bytes: number }
  | ({ type: "chunk"; id: number } & PassingChunk)
  | { type: "passed"; id: number; index: number }
  | { type: "done"; id: number; digest: string }
  | { type: "cancelled"; id: number }
  | { type: "error"; id: number; name: string; message: string };

/** Time, randomness and the network's state, so that tests never wait. */
export interface Seams {
  readonly clock: Clock;
  /** Like `Math.random`: from 0 up to, not including, 1. */
  readonly random: () => number;
  readonly connectivity: Connectivity;
}

export interface Clock {
  now(): number;
  setTimeout(callback: () => void, delay: number): unknown;
  clearTimeout(timer: any): void;
}

/** Fires `online` and `offline`, as `window` does. */
export interface Connectivity {
  readonly online: boolean;
  addEventListener(type: "online" | "offline", listener: () => void): void;
  removeEventListener(type: "online" | "offline", listener: () => void): void;
}
