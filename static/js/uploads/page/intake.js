/** How files come into the page: chosen, dropped anywhere, or pasted; folders with what is in them. */

import { fromClipboard, fromDataTransfer, fromInput } from "../folders.js";
import { remark } from "./remarks.js";
import { fill, gettext, ngettext } from "./words.js";

/** @import { Choice, ChosenFile } from "../types.d.ts" */

/** Of these inputs the files are new ones; by id, for pages come and go around them. */
const CHOOSERS = ["choose-files", "choose-folder"];
/** Of this one they are meant for interrupted uploads. */
const RESUME = "resume-files";

export class Intake {
  #add;
  #resume;
  #dragDepth = 0;

  /**
   * @param {object} takers
   * @param {(files: ChosenFile[]) => void} takers.add
   * @param {(files: ChosenFile[]) => void} takers.resume
   */
  constructor({ add, resume }) {
    this.#add = add;
    this.#resume = resume;
    document.addEventListener("change", ({ target }) => this.#chosen(target));
    document.addEventListener("paste", (event) => this.#pasted(event));
    window.addEventListener("dragenter", (event) => this.#dragged(event, 1));
    window.addEventListener("dragleave", (event) => this.#dragged(event, -1));
    window.addEventListener("dragover", (event) => {
      if (carriesFiles(event)) event.preventDefault();
    });
    window.addEventListener("drop", (event) => this.#dropped(event));
    // On a slow link a person may have chosen before this module was there.
    for (const id of CHOOSERS) this.#chosen(document.getElementById(id));
  }

  /** @param {EventTarget | null} field */
  #chosen(field) {
    if (!(field instanceof HTMLInputElement) || !field.files?.length) return;
    if (![...CHOOSERS, RESUME].includes(field.id)) return;
    const { files } = fromInput(field.files);
    // So that the same file can be chosen again.
    field.value = "";
    if (field.id === RESUME) this.#resume(files);
    else this.#add(files);
  }

  /** @param {ClipboardEvent} event */
  async #pasted(event) {
    if (!event.clipboardData?.files.length || isText(event)) return;
    event.preventDefault();
    const choice = await fromClipboard(event.clipboardData, new Date());
    this.#add(choice.files);
    remarkOnTheRest(choice);
  }

  /** @param {DragEvent} event */
  async #dropped(event) {
    if (!carriesFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    this.#dragDepth = 0;
    this.#showDragging();
    const choice = await fromDataTransfer(event.dataTransfer);
    this.#add(choice.files);
    remarkOnTheRest(choice);
  }

  /**
   * Enter and leave come for every element passed over; only their balance tells.
   *
   * @param {DragEvent} event
   * @param {number} step
   */
  #dragged(event, step) {
    if (!carriesFiles(event)) return;
    // Out of the window; also when what was passed over before has gone from the page.
    const left = step < 0 && event.relatedTarget === null;
    this.#dragDepth = left ? 0 : Math.max(0, this.#dragDepth + step);
    this.#showDragging();
  }

  #showDragging() {
    document.documentElement.toggleAttribute("data-dragging", this.#dragDepth > 0);
  }
}

/**
 * Office programs put a picture of the text beside it.
 *
 * @param {ClipboardEvent} event
 */
function isText({ target, clipboardData }) {
  const writing = target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
  return writing && (clipboardData?.types.includes("text/plain") ?? false);
}

/** @param {DragEvent} event */
function carriesFiles({ dataTransfer }) {
  return dataTransfer?.types.includes("Files") ?? false;
}

/** @param {Choice} choice */
function remarkOnTheRest({ files, unreadable, empty }) {
  if (unreadable.length) {
    const text = ngettext(
      "%(count)s file or folder could not be read and is not being sent.",
      "%(count)s files or folders could not be read and are not being sent.",
      unreadable.length,
    );
    remark(fill(text, { count: unreadable.length }), unreadable, {
      more: (count) => fill(ngettext("and %(count)s more", "and %(count)s more", count), { count }),
    });
  } else if (!files.length && empty) {
    remark(gettext("There is no file in what you dropped, so there is nothing to send."), []);
  }
}
