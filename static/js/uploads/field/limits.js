/** What a field takes: said at once, before anything is read or sent. The server holds the same. */

import { fill, gettext, size } from "../page/words.js";

/**
 * @typedef {object} Limits as the data attributes of the field tell them; what is empty limits nothing
 * @property {string} [maxSize] bytes
 * @property {string} [extensions] lowercase, without dots, between commas
 * @property {string} [types] media types, or families such as `image/*`, between commas
 */

/** What a file is when the browser cannot tell (RFC 2046, section 4.5.1). */
const UNKNOWN_TYPE = "application/octet-stream";

/**
 * Why a file is not even begun with; empty when it may come.
 *
 * @param {Pick<File, "name" | "size" | "type">} file
 * @param {Limits} limits
 */
export function refusalOf({ name, size: bytes, type }, { maxSize, extensions, types }) {
  const endings = listed(extensions).map((each) => `.${each}`);
  if (endings.length && !endings.some((each) => name.toLowerCase().endsWith(each))) {
    return otherKind(name, endings);
  }
  const kinds = listed(types);
  if (kinds.length && !isOfType(type || UNKNOWN_TYPE, kinds)) return otherKind(name, kinds);
  if (maxSize && bytes > Number(maxSize)) {
    const limit = size(Number(maxSize));
    return fill(gettext("“%(name)s” is larger than %(limit)s. Choose a smaller file."), { name, limit });
  }
  return "";
}

/** @param {string} name */
export function folderRefusal(name) {
  return fill(gettext("“%(name)s” is a folder. Choose the files in it."), { name });
}

/**
 * @param {string} name
 * @param {string[]} allowed
 */
function otherKind(name, allowed) {
  return fill(gettext("“%(name)s” is not one of the files taken here: %(allowed)s."), {
    name,
    allowed: allowed.join(", "),
  });
}

/**
 * @param {string} type
 * @param {string[]} kinds
 */
function isOfType(type, kinds) {
  const [kind] = type.toLowerCase().split(";");
  const [family] = kind.split("/");
  return kinds.includes(kind.trim()) || kinds.includes(`${family.trim()}/*`);
}

/** @param {string | undefined} text */
function listed(text) {
  return text ? text.split(",") : [];
}
