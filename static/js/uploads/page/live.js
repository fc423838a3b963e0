/**
 * Each upload of this tab as the page shows it: in its row, or in the tray while it has none.
 *
 * The server draws the rows and htmx morphs them anew; what only this tab knows goes into slots
 * that a refresh leaves alone, and onto the row (`data-live-*`), by which the style sheet shows
 * buttons.
 */

import { isFinal } from "../errors.js";
import { announce, byId, copyOf, rowOf, setOrDelete, setText, slot } from "./dom.js";
import {
  ALREADY_HERE, amount, announcement, barOf, fill, gettext, LABELS, lineFor, ngettext, percent,
  resumeButton,
} from "./words.js";

/** @import { SessionToResume, UploadPhase, UploadStatus } from "../types.d.ts" */
/** @import { Upload } from "../upload.js" */

/** What the person can do, as the style sheet understands it; nothing in the other phases. */
const CAN = /** @type {Partial<Record<UploadPhase, string>>} */ ({
  waiting: "pause",
  checking: "pause",
  sending: "pause",
  offline: "pause",
  retrying: "pause",
  verifying: "wait",
  paused: "resume",
  failed: "resume",
});

/** What failed for good can only be put away. */
const LET_GO = "dismiss";

/** Items that the tray shows; of five hundred that wait, nobody reads more. */
const TRAY = 12;
/** Up to this many files in a batch are spoken of one by one; of more, only how it ends. */
export const SPOKEN_OF = 3;

/**
 * What the page remembers of an upload.
 *
 * @typedef {object} Entry
 * @property {Upload} upload
 * @property {SessionToResume | null} offered the session it was meant to continue
 * @property {HTMLElement | null} trayItem
 * @property {HTMLElement | null} row where it was last drawn
 * @property {string} news what the server's list last heard of
 * @property {UploadPhase | null} phase as last announced
 * @property {string} obstacle as last announced
 */

/**
 * @param {Upload} upload
 * @param {SessionToResume | null} offered
 * @returns {Entry}
 */
export function newEntry(upload, offered) {
  return {
    upload, offered, trayItem: null, row: null, news: "", phase: null, obstacle: "",
  };
}

/**
 * Draws every upload that has a row, and the first of the others into the tray. Whatever the
 * number of files, what this costs is bounded by what is to be seen.
 *
 * @param {Iterable<Entry>} entries
 */
export function drawAll(entries) {
  /** @type {Entry[]} */
  const others = [];
  for (const entry of entries) {
    const row = homeOf(entry);
    if (entry.row && entry.row !== row) clear(entry.row);
    entry.row = row;
    if (row) drawInRow(entry, row);
    else others.push(entry);
  }
  drawTray(others);
}

/** @param {Entry} entry */
function homeOf({ upload, offered }) {
  const row = rowOf(upload.sessionId ?? offered?.id);
  // A row that has ended tells its own story, and its buttons belong to the server's view.
  return row && ["active", "assembling"].includes(row.dataset.state ?? "") ? row : null;
}

/**
 * @param {Entry} entry
 * @param {HTMLElement} row
 */
function drawInRow(entry, row) {
  const { status } = entry.upload;
  show(row, status);
  showOnTheWay(row, entry.upload);
  leaveTray(entry, row);
}

// ------------------------------------------------------------------ the tray

/** @param {Entry[]} entries without a row */
function drawTray(entries) {
  const tray = document.getElementById("tray");
  const shown = new Set(tray ? mostTelling(entries) : []);
  for (const entry of entries) if (!shown.has(entry)) leaveTray(entry);
  if (!tray) return;
  for (const entry of shown) drawTrayItem(entry, tray);
  const more = document.getElementById("tray-more");
  if (!more) return;
  const hidden = entries.length - shown.size;
  more.hidden = hidden === 0;
  setText(more, fill(ngettext("and %(count)s more", "and %(count)s more", hidden), { count: hidden }));
}

/**
 * An item goes, and a focus that was in it goes to where its upload is now.
 *
 * @param {Entry} entry
 * @param {HTMLElement | null} [row]
 */
export function leaveTray(entry, row = null) {
  const focused = entry.trayItem?.contains(document.activeElement);
  entry.trayItem?.remove();
  entry.trayItem = null;
  if (!focused) return;
  const buttons = [...(row?.querySelectorAll("button") ?? [])];
  const next = buttons.find((button) => button.checkVisibility()) ?? byId("main");
  next.focus({ preventScroll: true });
}

/**
 * Those that move or need somebody, then those that wait, each in the order they came.
 *
 * @param {Entry[]} entries
 */
function mostTelling(entries) {
  if (entries.length <= TRAY) return entries;
  /** @type {Entry[]} */
  const telling = [];
  /** @type {Entry[]} */
  const waiting = [];
  for (const entry of entries) (entry.upload.phase === "waiting" ? waiting : telling).push(entry);
  return [...telling, ...waiting].slice(0, TRAY);
}

/**
 * @param {Entry} entry
 * @param {HTMLElement} tray
 */
function drawTrayItem(entry, tray) {
  const { status } = entry.upload;
  const item = (entry.trayItem ??= newTrayItem(status));
  if (item.parentElement !== tray) tray.append(item);
  show(item, status);
  setText(slot(item, "amount"), amount(status));
  setText(slot(item, "resume"), resumeButton(status.phase));
  const link = slot(item, "to-row");
  const row = rowOf(status.session?.id ?? entry.offered?.id);
  link.hidden = row === null;
  if (row) link.setAttribute("href", `#${row.id}`);
}

/** @param {UploadStatus} status */
function newTrayItem({ filename, folder }) {
  const item = copyOf("tray-item");
  const name = /** @type {HTMLElement} */ (item.querySelector("h3"));
  name.textContent = name.title = filename;
  if (folder) slot(item, "folder").textContent = fill(gettext("in %(folder)s"), { folder });
  item.querySelector("progress")?.setAttribute("aria-label", filename);
  return item;
}

// --------------------------------------------------------- rows and items alike

/**
 * @param {HTMLElement} place
 * @param {UploadStatus} status
 */
function show(place, status) {
  const { phase, existed, error } = status;
  const focused = place.contains(document.activeElement);
  setOrDelete(place, "livePhase", phase);
  setOrDelete(place, "liveCan", phase === "failed" && isFinal(error) ? LET_GO : CAN[phase]);
  setOrDelete(place, "liveHurry", phase === "retrying" ? "" : undefined);
  setText(slot(place, "label"), existed ? ALREADY_HERE : LABELS[phase]);
  setLine(place, lineFor(status), phase === "failed" ? "error" : "");
  showBar(place, status);
  if (focused) keepFocus(place);
}

/**
 * While something moves the bar shows what is on its way too, and refreshes leave it alone; then
 * it falls back to what is in. Before the session is known, a row's bar is the server's to draw.
 *
 * @param {HTMLElement} place
 * @param {UploadStatus} status
 */
function showBar(place, status) {
  const bar = place.querySelector("progress");
  if (!bar) return;
  const { phase, session, total } = status;
  const ours = "tray" in place.dataset || (session !== null && phase !== "checking");
  bar.toggleAttribute("hx-morph-skip", phase === "sending");
  if (ours) bar.value = percent(barOf(status), total);
}

/**
 * Marks the chunks that are on their way over the map of those that are in.
 *
 * @param {HTMLElement} row
 * @param {Upload} upload
 */
function showOnTheWay(row, upload) {
  const map = row.querySelector('[data-slot="on-the-way"]');
  if (!(map instanceof SVGElement)) return;
  const indices = upload.phase === "sending" ? upload.inFlight : [];
  const marks = indices.join(" ");
  if (map.dataset.marks === marks) return;
  map.dataset.marks = marks;
  const [step, mark] = [Number(map.dataset.step), Number(map.dataset.mark)];
  map.replaceChildren(...indices.map((index) => bar(index * step, mark)));
}

/**
 * @param {number} x
 * @param {number} width
 */
function bar(x, width) {
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  const attributes = { class: "way", x: x.toFixed(2), width: width.toFixed(2), height: "100%" };
  for (const [name, value] of Object.entries(attributes)) rect.setAttribute(name, value);
  return rect;
}

/**
 * A row that has left the page may have left its slots to the page that came.
 *
 * @param {HTMLElement} row
 */
export function clear(row) {
  if (!row.isConnected) return;
  const focused = row.contains(document.activeElement);
  for (const name of ["livePhase", "liveCan", "liveHurry"]) delete row.dataset[name];
  setText(slot(row, "label"), "");
  setLine(row, "");
  row.querySelector("progress")?.removeAttribute("hx-morph-skip");
  const map = row.querySelector('[data-slot="on-the-way"]');
  map?.replaceChildren();
  map?.removeAttribute("data-marks");
  if (focused) keepFocus(row);
}

/**
 * @param {HTMLElement} place
 * @param {string} text
 * @param {string} [tone]
 */
export function setLine(place, text, tone = "") {
  const line = slot(place, "line");
  setText(line, text);
  setOrDelete(line, "tone", tone || undefined);
}

/**
 * A button that has just been pressed may be hidden now; the focus goes to its neighbour.
 *
 * @param {HTMLElement} place
 */
function keepFocus(place) {
  const active = document.activeElement;
  if (!(active instanceof HTMLButtonElement) || active.checkVisibility()) return;
  for (const button of place.querySelectorAll("button")) {
    if (button.checkVisibility()) return button.focus();
  }
}

// --------------------------------------------------------------- for the ear

/**
 * What is worth a word of a small batch: turning points, and a server that is busy, which may be
 * so for hours, but only the first time.
 *
 * @param {Entry} entry
 * @param {number} files in the batch
 */
export function speakOf(entry, files) {
  const { phase, filename, error } = entry.upload.status;
  const turned = phase !== entry.phase;
  entry.phase = phase;
  if (files > SPOKEN_OF) return;
  const words = turned ? announcement(phase, filename, error) : "";
  if (words) announce(words);
  else if (phase === "retrying" && error && error.status > 0 && error.message !== entry.obstacle) {
    entry.obstacle = error.message;
    announce(`${filename}: ${lineFor(entry.upload.status)}`);
  }
}
