/**
 * Several files chosen at once, to go on with interrupted uploads: which belongs to which? Only
 * what is known without reading a file is looked at; its hash is compared when it is sent.
 */

/** @import { Candidate, Matching, SessionToResume } from "./types.d.ts" */

/**
 * A file and a session of the same size belong together: at best by folder and name, else by
 * name, else when they are all that is left of that size. Where nobody has declared the size, a
 * file of that name belongs to it that is not shorter than what has come. Each file and each
 * session is taken once.
 *
 * @param {readonly Candidate[]} candidates
 * @param {readonly SessionToResume[]} sessions
 * @returns {Matching}
 */
export function match(candidates, sessions) {
  const files = candidates.map(known);
  /** @type {Pairing} */
  const pairing = { sessions, taken: new Set(), found: new Map() };
  pairBy(bySizeAndPath, files, pairing);
  pairBy(bySizeAndName, files, pairing);
  const unsized = { ...pairing, sessions: sessions.filter(({ size }) => size === null) };
  pairBy(byPath, files, unsized);
  pairBy(byName, files, unsized);
  pairTheOnly(files, pairing);
  return { pairs: paired(files, pairing), unmatched: explained(files, pairing) };
}

/**
 * @typedef {object} Pairing
 * @property {readonly SessionToResume[]} sessions
 * @property {Set<SessionToResume>} taken
 * @property {Map<Known, SessionToResume>} found
 */

/**
 * @param {(keyed: Keyed) => string} keyOf
 * @param {Known[]} files
 * @param {Pairing} pairing
 */
function pairBy(keyOf, files, { sessions, taken, found }) {
  const shelves = new Shelves(sessions, keyOf, taken);
  for (const file of files) {
    const session = found.has(file) ? null : shelves.first(keyOf(file));
    if (!session || !couldBe(file, session)) continue;
    taken.add(session);
    found.set(file, session);
  }
}

/**
 * @param {Known} file
 * @param {SessionToResume} session
 */
function couldBe(file, { size, offset = 0 }) {
  return size === null ? file.size >= offset : file.size === size;
}

/**
 * By size alone there is no telling among several files or several sessions.
 *
 * @param {Known[]} files
 * @param {Pairing} pairing
 */
function pairTheOnly(files, pairing) {
  const left = files.filter((file) => !pairing.found.has(file));
  const rivals = Map.groupBy(left, bySize);
  const shelves = new Shelves(pairing.sessions, bySize, pairing.taken);
  const lonely = left.filter(
    (file) => rivals.get(bySize(file))?.length === 1 && shelves.count(bySize(file)) === 1,
  );
  pairBy(bySize, lonely, pairing);
}

/**
 * What the keys are made of, of files and sessions alike.
 *
 * @typedef {object} Known
 * @property {string} filename
 * @property {string} [folder]
 * @property {number} size asked for once: some browsers ask the disk each time
 * @property {Candidate} candidate
 */

/** @typedef {Pick<Known, "filename" | "folder"> & { size: number | null }} Keyed */

/**
 * @param {Candidate} candidate
 * @returns {Known}
 */
function known(candidate) {
  const { file, folder } = candidate;
  return { filename: file.name, folder, size: file.size, candidate };
}

/** @param {Keyed} keyed */
const byName = ({ filename }) => filename.normalize();
/** @param {Keyed} keyed */
const byPath = (keyed) => `${(keyed.folder ?? "").normalize()}/${byName(keyed)}`;
/** @param {Keyed} keyed */
const bySize = ({ size }) => String(size);
/** @param {Keyed} keyed */
const bySizeAndName = (keyed) => `${keyed.size} ${byName(keyed)}`;
/** @param {Keyed} keyed */
const bySizeAndPath = (keyed) => `${keyed.size} ${byPath(keyed)}`;

/** Sessions by a key, each shelf in the order they were given. */
class Shelves {
  /** @type {Map<string, SessionToResume[]>} */
  #shelves = new Map();
  #taken;

  /**
   * @param {readonly SessionToResume[]} sessions
   * @param {(keyed: Keyed) => string} keyOf
   * @param {Set<SessionToResume>} taken which are passed over, also those taken later
   */
  constructor(sessions, keyOf, taken) {
    this.#taken = taken;
    for (const session of sessions) {
      if (taken.has(session)) continue;
      const key = keyOf(session);
      const shelf = this.#shelves.get(key);
      if (shelf) shelf.push(session);
      else this.#shelves.set(key, [session]);
    }
    // Taken from the end, so that the first must lie there.
    for (const shelf of this.#shelves.values()) shelf.reverse();
  }

  /** @param {string} key */
  count(key) {
    return this.#shelves.get(key)?.length ?? 0;
  }

  /** @param {string} key */
  first(key) {
    const shelf = this.#shelves.get(key) ?? [];
    while (shelf.length > 0 && this.#taken.has(shelf[shelf.length - 1])) shelf.pop();
    return shelf.at(-1) ?? null;
  }
}

/**
 * @param {Known[]} files
 * @param {Pairing} pairing
 * @returns {Matching["pairs"]}
 */
function paired(files, { found }) {
  return files.flatMap((file) => {
    const session = found.get(file);
    return session ? [{ ...file.candidate, session }] : [];
  });
}

/**
 * @param {Known[]} files
 * @param {Pairing} pairing
 * @returns {Matching["unmatched"]}
 */
function explained(files, { sessions, taken, found }) {
  const [paths, names] = [byPath, byName].map((keyOf) => new Shelves(sessions, keyOf, taken));
  return files
    .filter((file) => !found.has(file))
    .map((file) => {
      const session = paths.first(byPath(file)) ?? names.first(byName(file));
      const reason = session ? "same_name_other_size" : "no_such_upload";
      return { ...file.candidate, reason, session };
    });
}
