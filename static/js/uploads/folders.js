/** What was dropped, pasted or chosen, as files that know the folder they came from. */

import { WorkerQueue } from "./queue.js";

/** @import { Choice, ChosenFile } from "./types.d.ts" */

/** Folders and files asked of the disk at once. */
const READS_AT_ONCE = 8;

/** What browsers call an image that was copied as pixels and never had a name. */
const NAMELESS = /^image(\.[a-z0-9]+)$/i;

const byName = new Intl.Collator(undefined, { numeric: true });

/**
 * From a file field, of files or (`webkitdirectory`) of a folder.
 *
 * @param {ArrayLike<File>} files
 * @returns {Choice}
 */
export function fromInput(files) {
  const chosen = Array.from(files, (file) => ({
    file,
    folder: parentOf(file.webkitRelativePath ?? ""),
  }));
  // Of a folder browsers tell in whatever order the disk does.
  if (chosen.some(({ folder }) => folder)) chosen.sort(byPath);
  return { files: chosen, unreadable: [], empty: 0 };
}

/**
 * Must be called while the event is handled, for its entries are gone afterwards. A file or
 * folder that cannot be read is named in the result; nothing is thrown.
 *
 * @param {DataTransfer} dataTransfer
 * @returns {Promise<Choice>}
 */
export function fromDataTransfer(dataTransfer) {
  const items = [...dataTransfer.items].filter(({ kind }) => kind === "file");
  // All of them before anything is waited for; and of hundreds no more than is needed, for each
  // keeps the page still for a moment.
  const dropped = items.map((item) => {
    const entry = item.webkitGetAsEntry();
    return { entry, file: entry ? null : item.getAsFile() };
  });
  const reader = new Reader();
  return joined(dropped.map(({ entry, file }) => dropOf(reader, entry, file)));
}

/**
 * As `fromDataTransfer`. An image without a name of its own is named after the moment.
 *
 * @param {DataTransfer} clipboardData
 * @param {Date} now
 * @returns {Promise<Choice>}
 */
export async function fromClipboard(clipboardData, now) {
  const pasted = await fromDataTransfer(clipboardData);
  const moment = `Pasted ${timestamp(now)}`;
  let nameless = 0;
  const files = pasted.files.map((chosen) => {
    const [, extension] = NAMELESS.exec(chosen.file.name) ?? [];
    if (extension === undefined || chosen.folder !== "") return chosen;
    nameless += 1;
    const name = nameless === 1 ? moment : `${moment} (${nameless})`;
    return { ...chosen, file: renamed(chosen.file, name + extension) };
  });
  return { ...pasted, files };
}

/**
 * @param {Reader} reader
 * @param {FileSystemEntry | null} entry
 * @param {File | null} file
 * @returns {Promise<Choice>}
 */
async function dropOf(reader, entry, file) {
  if (entry && isFolder(entry)) return reader.walk(entry, entry.name);
  if (entry) return reader.read(entry, "");
  return { files: file ? [{ file, folder: "" }] : [], unreadable: [], empty: 0 };
}

class Reader {
  #queue = new WorkerQueue({ limit: READS_AT_ONCE });

  /**
   * All files below a folder.
   *
   * @param {FileSystemDirectoryEntry} folder
   * @param {string} path
   * @returns {Promise<Choice>}
   */
  async walk(folder, path) {
    const { entries, readable } = await this.#queue.add(() => listed(folder));
    entries.sort((a, b) => byName.compare(a.name, b.name));
    const below = await joined(entries.map((entry) => this.#visit(entry, path)));
    if (!readable) below.unreadable.unshift(path);
    else if (entries.length === 0) below.empty += 1;
    return below;
  }

  /**
   * @param {FileSystemEntry} entry
   * @param {string} folder
   * @returns {Promise<Choice>}
   */
  #visit(entry, folder) {
    const path = `${folder}/${entry.name}`;
    return isFolder(entry) ? this.walk(entry, path) : this.read(entry, folder);
  }

  /**
   * @param {FileSystemEntry} entry of a file
   * @param {string} folder
   * @returns {Promise<Choice>}
   */
  async read(entry, folder) {
    try {
      const file = await this.#queue.add(() => fileOf(/** @type {FileSystemFileEntry} */ (entry)));
      return { files: [{ file, folder }], unreadable: [], empty: 0 };
    } catch {
      const path = folder ? `${folder}/${entry.name}` : entry.name;
      return { files: [], unreadable: [path], empty: 0 };
    }
  }
}

/**
 * A folder is read in parts, a hundred at a time, until an empty one tells that it is through.
 *
 * @param {FileSystemDirectoryEntry} folder
 */
async function listed(folder) {
  const reader = folder.createReader();
  /** @type {FileSystemEntry[]} */
  const entries = [];
  const next = () =>
    new Promise((/** @type {(part: FileSystemEntry[]) => void} */ resolve, reject) =>
      reader.readEntries(resolve, reject),
    );
  try {
    for (let part = await next(); part.length > 0; part = await next()) entries.push(...part);
  } catch {
    return { entries, readable: false };
  }
  return { entries, readable: true };
}

/**
 * @param {FileSystemFileEntry} entry
 * @returns {Promise<File>}
 */
function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}

/**
 * @param {FileSystemEntry} entry
 * @returns {entry is FileSystemDirectoryEntry}
 */
function isFolder(entry) {
  return entry.isDirectory;
}

/**
 * @param {Promise<Choice>[]} parts
 * @returns {Promise<{ files: ChosenFile[], unreadable: string[], empty: number }>}
 */
async function joined(parts) {
  const choices = await Promise.all(parts);
  return {
    files: choices.flatMap(({ files }) => files),
    unreadable: choices.flatMap(({ unreadable }) => unreadable),
    empty: choices.reduce((sum, { empty }) => sum + empty, 0),
  };
}

/**
 * @param {ChosenFile} one
 * @param {ChosenFile} other
 */
function byPath(one, other) {
  return byName.compare(one.folder, other.folder) || byName.compare(one.file.name, other.file.name);
}

/** @param {string} path */
function parentOf(path) {
  return path.split("/").slice(0, -1).join("/");
}

/**
 * @param {File} file
 * @param {string} name
 */
function renamed(file, name) {
  return new File([file], name, { type: file.type, lastModified: file.lastModified });
}

/**
 * In the person's own time, without colons, which some file systems refuse.
 *
 * @param {Date} moment
 */
function timestamp(moment) {
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const date = [moment.getFullYear(), two(moment.getMonth() + 1), two(moment.getDate())];
  const time = [moment.getHours(), moment.getMinutes(), moment.getSeconds()].map(two);
  return `${date.join("-")} ${time.join(".")}`;
}
