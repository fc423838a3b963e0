/** One field of a form: what a person does in it, and the ids of what has arrived. */

import { isFinal, needsTheFile } from "../errors.js";
import { setText } from "../page/dom.js";
import { announcement, fill, gettext } from "../page/words.js";
import { guard, showInButtons } from "./guard.js";
import { adoptItem, drawItem, newItem, pressed } from "./item.js";
import { folderRefusal, refusalOf } from "./limits.js";
import { newUploader } from "./sending.js";
import { describe, Voice } from "./voice.js";

/** @import { Upload } from "../upload.js" */
/** @import { UploadPhase } from "../types.d.ts" */

/**
 * @typedef {object} Entry
 * @property {Upload} upload
 * @property {HTMLElement} item
 * @property {UploadPhase | null} phase that was drawn last
 * @property {Upload[]} former in whose place it came; they stay until it has a session of its own,
 *   for it may go on with one of theirs
 */

const BOX = "[data-resumable-file]";
const LIST = ".resumable-list";
const NAME = "[data-resumable-name]";
/** Milliseconds: numbers that change faster than this cannot be read. */
const REDRAW = 250;
/** Formsets have such a name in the form that new ones are copied from. */
const BLANK = "__prefix__";

/** @type {WeakMap<Element, Field>} */
const fields = new WeakMap();
let count = 0;

/** Sees to every field in what has come into the page. @param {ParentNode} place */
export function attach(place) {
  for (const box of boxesIn(place)) {
    const known = fields.get(box);
    if (known) known.comeBack();
    else if (!nameOf(box).includes(BLANK)) fields.set(box, new Field(box));
  }
}

/** Of what has left it, or has only been moved. @param {ParentNode} place */
export function detach(place) {
  for (const box of boxesIn(place)) if (!box.isConnected) fields.get(box)?.leave();
}

/** Within a field something was changed, perhaps by others: by a swap, by a formset. @param {Node} place */
export function revise(place) {
  if (!(place instanceof HTMLElement)) return;
  const box = place.closest(BOX);
  if (!(box instanceof HTMLElement)) return;
  if (place.matches(NAME)) {
    attach(box);
    fields.get(box)?.rename();
  } else if (place.matches(`${BOX}, ${LIST}`)) fields.get(box)?.reconcile();
}

/** @param {ParentNode} place */
function boxesIn(place) {
  const found = [...place.querySelectorAll(BOX)];
  if (place instanceof Element && place.matches(BOX)) found.push(place);
  return found.filter((box) => box instanceof HTMLElement);
}

/** @param {HTMLElement} box */
function nameOf(box) {
  return inBox(box, NAME, HTMLInputElement).name;
}

/**
 * @template {HTMLElement} T
 * @param {ParentNode} box
 * @param {string} selector
 * @param {new () => T} kind
 * @returns {T}
 */
function inBox(box, selector, kind) {
  const found = box.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`a field of files without ${selector}`);
  return found;
}

export class Field {
  #box;
  #uploader;
  #voice = new Voice(() => this.#part("live"));
  #id = `resumable-${++count}`;
  /** @type {Map<Upload, Entry>} */
  #entries = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** Whether the form was kept from being sent, and the field says why. */
  #refused = false;
  /** Where it was when it was drawn last. @type {HTMLFormElement | null} */
  #form = null;

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
    this.#uploader = newUploader(box.dataset, () => this.form);
    this.#uploader.addEventListener("change", () => this.#drawSoon());
    this.#dropCopies();
    this.#listen();
    this.comeBack();
    this.reconcile();
    // On a slow link a person may have chosen before this module was there.
    this.#chosen();
    box.toggleAttribute("data-ready", true);
  }

  get box() {
    return this.#box;
  }

  get form() {
    return this.#input.form;
  }

  /** Whether something is on its way at this moment. */
  get busy() {
    return this.#uploader.busy;
  }

  /** Why the form cannot be sent as it is; empty when it can. */
  get obstacle() {
    for (const upload of this.#entries.keys()) {
      if (upload.phase !== "done") return fill(obstacleOf(upload), { name: upload.file.name });
    }
    return "";
  }

  /** Of the sentence for the buttons of the form. */
  get reasonId() {
    return this.#part("reason").id;
  }

  /** Says why the form was not sent, where the person can do something about it. */
  refuse() {
    this.#complain(this.obstacle);
    this.#refused = true;
    this.#draw();
    const first = this.#list.querySelector("[data-phase]:not([data-phase=done]) button:not([hidden])");
    (first instanceof HTMLElement ? first : this.#input).focus();
  }

  /** What was chosen since the page was loaded goes. */
  clear() {
    for (const { item } of [...this.#entries.values()]) this.#remove(item);
    this.#complain("");
    this.#draw();
  }

  comeBack() {
    guard(this);
    this.#draw();
  }

  /** Nobody sees it any more, nor could stop it. The server keeps what it has. */
  leave() {
    this.#uploader.pauseAll();
    showInButtons(this.#form);
  }

  /** Formsets number their forms anew. */
  rename() {
    const name = nameOf(this.#box);
    for (const input of this.#list.querySelectorAll("input")) input.name = name;
  }

  /** What a swap took out and is on its way stays; what the server says to have arrived counts. */
  reconcile() {
    for (const { upload, item } of [...this.#entries.values()]) {
      if (this.#list.contains(item)) continue;
      if (upload.phase === "done") this.#forget(upload);
      else this.#list.append(item);
    }
    for (const item of this.#list.querySelectorAll("[data-session-id]")) adoptItem(item);
    this.#draw();
  }

  get #input() {
    return inBox(this.#box, "input[type=file]", HTMLInputElement);
  }

  get #list() {
    return inBox(this.#box, LIST, HTMLElement);
  }

  get #multiple() {
    return "multiple" in this.#box.dataset;
  }

  /**
   * A place of the template, with an id that no other field has, be it a copy of this one.
   *
   * @param {"error" | "live" | "reason"} name
   */
  #part(name) {
    const place = inBox(this.#box, `[data-resumable-${name}]`, HTMLElement);
    place.id = `${this.#id}-${name}`;
    return place;
  }

  /** Scripts that copy a field copy what another has drawn. */
  #dropCopies() {
    for (const item of [...this.#list.children]) if (!item.hasAttribute("data-session-id")) item.remove();
  }

  #listen() {
    // At the box: what is in it may be exchanged.
    this.#box.addEventListener("change", ({ target }) => {
      if (target === this.#input) this.#chosen();
    });
    this.#box.addEventListener("click", (event) => this.#clicked(event));
    // A file that is dropped here is for this field, whatever else the page takes.
    for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
      this.#box.addEventListener(type, (event) => this.#dragged(/** @type {DragEvent} */ (event)));
    }
  }

  #chosen() {
    const files = [...(this.#input.files ?? [])];
    // So that the form carries ids only, and the same file can be chosen again.
    this.#input.value = "";
    if (files.length) this.#take(files);
  }

  /** @param {DragEvent} event */
  #dragged(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    event.stopPropagation();
    this.#box.toggleAttribute("data-dragging", event.type === "dragenter" || event.type === "dragover");
    if (event.type === "drop" && !this.#input.matches(":disabled")) this.#dropped(event.dataTransfer);
  }

  /** @param {DataTransfer} transfer */
  #dropped(transfer) {
    // A folder looks like a small file, but cannot be read.
    const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
    const folder = entries.find((entry) => entry?.isDirectory);
    if (folder) this.#complain(folderRefusal(folder.name));
    else this.#take([...transfer.files]);
  }

  /** @param {File[]} files */
  #take(files) {
    this.#complain("");
    if (!this.#multiple && files.length > 1) {
      this.#complain(gettext("One file only: choose it by itself."));
      return;
    }
    const refusals = files.map((file) => refusalOf(file, this.#box.dataset));
    this.#complain(refusals.filter(Boolean).join(" "));
    for (const [index, file] of files.entries()) if (!refusals[index]) this.#add(file);
    this.#draw();
  }

  /** @param {File} file */
  #add(file) {
    const known = this.#entryOf(file);
    if (known && isSame(known.upload.file, file) && !needsTheFile(known.upload.status.error)) {
      known.upload.resume();
      return;
    }
    const former = this.#multiple ? this.#takeOut(known ? [known.item] : []) : this.#takeOut([...this.#list.children]);
    const upload = this.#uploader.add(file, { session: changedBefore(file, known) });
    const item = newItem(file.name);
    this.#list.append(item);
    this.#entries.set(upload, { upload, item, phase: null, former });
  }

  /**
   * Of the file that was chosen before: the very same, or in place of one that has to be chosen
   * again because it has changed.
   *
   * @param {File} file
   */
  #entryOf(file) {
    for (const entry of this.#entries.values()) {
      const { file: other, status } = entry.upload;
      if (isSame(other, file) || (other.name === file.name && needsTheFile(status.error))) return entry;
    }
    return null;
  }

  /**
   * @param {Element[]} items that make room for another
   * @returns {Upload[]} of theirs what the server may have a part of
   */
  #takeOut(items) {
    return items.flatMap((item) => {
      item.remove();
      const entry = this.#entryAt(item);
      if (!entry) return [];
      entry.upload.pause();
      this.#entries.delete(entry.upload);
      return [entry.upload, ...entry.former];
    });
  }

  /** @param {Event} event */
  #clicked(event) {
    const action = pressed(event);
    const item = event.target instanceof Element ? event.target.closest("li") : null;
    if (!action || !item) return;
    const upload = this.#entryAt(item)?.upload;
    this.#complain("");
    if (action === "pause") upload?.pause();
    else if (action === "resume") this.#resume(upload);
    else if (action === "remove") {
      this.#remove(item);
      this.#input.focus();
    }
    this.#draw();
  }

  /** @param {Upload | undefined} upload */
  #resume(upload) {
    // What has changed on the disk must be chosen anew; the server goes on from what it has.
    if (upload && needsTheFile(upload.status.error)) this.#input.click();
    else upload?.resume();
  }

  /** @param {Element} item */
  #entryAt(item) {
    for (const entry of this.#entries.values()) if (entry.item === item) return entry;
    return undefined;
  }

  /** @param {Element} item */
  #remove(item) {
    const entry = this.#entryAt(item);
    item.remove();
    if (!entry) return;
    this.#dismiss(entry);
    // What has arrived stays at the server for a while: chosen again, it is there at once.
    if (entry.upload.phase !== "done") entry.upload.cancel();
    this.#forget(entry.upload);
  }

  /** @param {Upload} upload */
  #forget(upload) {
    this.#entries.delete(upload);
    this.#uploader.remove(upload);
  }

  /**
   * Cancels those in whose place it came. A session that it goes on with is spared.
   *
   * @param {Entry} entry
   */
  #dismiss({ former }) {
    for (const upload of former.splice(0)) {
      upload.cancel();
      this.#uploader.remove(upload);
    }
  }

  #drawSoon() {
    this.#timer ??= setTimeout(() => this.#draw(), REDRAW);
  }

  #draw() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const entry of [...this.#entries.values()]) if (entry.phase !== "done") this.#drawEntry(entry);
    const { obstacle } = this;
    if (this.#refused && obstacle) setText(this.#part("error"), obstacle);
    else if (this.#refused) this.#complain("");
    this.#part("reason").hidden = !obstacle || this.#refused;
    this.#hidePending();
    this.#box.toggleAttribute("data-busy", this.busy);
    this.#form = this.#box.isConnected ? this.form : null;
    showInButtons(this.#form);
    this.#box.dispatchEvent(new CustomEvent("resumable:change", { bubbles: true }));
  }

  /** @param {Entry} entry */
  #drawEntry(entry) {
    const { upload, item } = entry;
    const { status, sessionId } = upload;
    const { phase, filename, error } = status;
    if (sessionId) this.#dismiss(entry);
    drawItem(item, status);
    if (phase === "done" && sessionId) this.#writeId(item, sessionId);
    if (entry.phase === null && phase !== "done") this.#voice.say(fill(gettext("%(name)s: being sent"), { name: filename }));
    else if (entry.phase !== phase) this.#voice.say(announcement(phase, filename, error));
    entry.phase = phase;
    // Seconds count down.
    if (["retrying", "sending", "checking"].includes(phase)) this.#drawSoon();
  }

  /**
   * The form carries it from now on. The same content under the same name is one upload, however
   * often it was chosen.
   *
   * @param {HTMLElement} item
   * @param {string} id of the session of what has arrived
   */
  #writeId(item, id) {
    for (const other of this.#list.querySelectorAll("input")) {
      const twin = other.value === id ? other.closest("li") : null;
      if (twin && twin !== item) this.#remove(twin);
    }
    const input = Object.assign(document.createElement("input"), { type: "hidden", value: id });
    input.name = nameOf(this.#box);
    item.append(input);
  }

  /** Of the interrupted uploads those that go on, or in whose place something else has come. */
  #hidePending() {
    const ids = [...this.#entries.keys()].map((upload) => upload.sessionId);
    const replaced = !this.#multiple && this.#list.childElementCount > 0;
    for (const line of this.#box.querySelectorAll("[data-resumable-pending]")) {
      if (!(line instanceof HTMLElement)) continue;
      line.hidden = replaced || ids.includes(line.dataset.resumablePending ?? "");
    }
  }

  /** @param {string} text */
  #complain(text) {
    this.#refused = false;
    const place = this.#part("error");
    place.hidden = !text;
    setText(place, text);
    describe(this.#input, place.id, Boolean(text));
    this.#voice.say(text);
  }
}

/**
 * The session of a file that stopped because it had changed, for the same file chosen again: if its content
 * is what it was, what has arrived is not sent again.
 *
 * @param {File} file
 * @param {Entry | null} known
 */
function changedBefore(file, known) {
  const { error, session } = known?.upload.status ?? {};
  return error?.code === "source_changed" && session?.size === file.size ? session : null;
}

/** @param {Upload} upload */
function obstacleOf({ phase, status }) {
  if (phase === "failed" && isFinal(status.error)) {
    return gettext("“%(name)s” cannot be sent. Remove it, or choose another file.");
  }
  if (phase === "failed") return gettext("“%(name)s” has not arrived. Try again, or remove it.");
  if (phase === "cancelled") {
    return gettext("“%(name)s” was cancelled elsewhere. Choose it again, or remove it.");
  }
  if (phase === "paused") return gettext("“%(name)s” is paused. Resume it, or remove it.");
  return gettext("“%(name)s” is still on its way. Wait until it is complete, or remove it.");
}

/**
 * @param {Pick<File, "name" | "size" | "lastModified">} one
 * @param {Pick<File, "name" | "size" | "lastModified">} other
 */
function isSame(one, other) {
  return one.name === other.name && one.size === other.size && one.lastModified === other.lastModified;
}
