/**
 * The edit page of a topic collection: a file goes to the server while the form is still open, and
 * its id into the hidden field. The form is sent only when no chosen file is unfinished.
 */

import { ChunkedTransport } from "../js/uploads/chunked-transport.js";
import { WorkerHasher } from "../js/uploads/hashing.js";
import { csrfToken } from "../js/uploads/page/dom.js";
import { lineFor, size } from "../js/uploads/page/words.js";
import { Upload } from "../js/uploads/upload.js";

/** @import { SessionToResume, UploadPhase } from "../../../../static/js/uploads/types.d.ts" */

/** Those in which something is being done. @type {UploadPhase[]} */
const UNDER_WAY = ["waiting", "checking", "sending", "offline", "retrying", "verifying"];

class SeedsField {
  #box;
  #form;
  #hasher;
  /** The file that is chosen now. @type {Upload | null} */
  #upload = null;
  /** Why a chosen file is not even begun with. */
  #refusal = "";

  /** @param {HTMLElement} box */
  constructor(box) {
    this.#box = box;
    this.#form = /** @type {HTMLFormElement} */ (box.closest("form"));
    this.#hasher = new WorkerHasher({ workerUrl: box.dataset.workerUrl ?? "", algorithm: "md5" });
    // From here on the file goes by itself; the form carries its id.
    this.#choice.removeAttribute("name");
    this.#choice.addEventListener("change", () => this.#choose(this.#choice.files?.[0]));
    box.addEventListener("click", (event) => this.#press(event));
    // A file that is dropped here is for this field, not for the list of all uploads.
    for (const type of ["dragenter", "dragleave", "dragover", "drop"]) {
      this.#choice.addEventListener(type, (event) => event.stopPropagation());
    }
    this.#form.addEventListener("submit", (event) => this.#submit(event));
    window.addEventListener("beforeunload", (event) => {
      if (this.#isUnderWay) event.preventDefault();
    });
  }

  get #choice() {
    return this.#find("input[type=file]", HTMLInputElement);
  }

  get #id() {
    return this.#find("input[type=hidden]", HTMLInputElement);
  }

  get #isUnderWay() {
    return this.#upload !== null && UNDER_WAY.includes(this.#upload.phase);
  }

  /** @param {File | undefined} file */
  #choose(file) {
    if (!file) return;
    this.#leave();
    this.#refusal = this.#objection(file);
    if (this.#refusal) return this.#draw(file);
    const transport = this.#connect();
    const session = this.#interrupted(file);
    const upload = new Upload({ file, transport, hasher: this.#hasher, session, parallel: 1 });
    this.#upload = upload;
    upload.addEventListener("change", () => {
      if (upload === this.#upload) this.#draw(file);
      // Another page has come within this document: it is gone on with when the form is back.
      if (this.#isUnderWay && !this.#box.isConnected) upload.pause();
    });
    upload.start();
  }

  #connect() {
    const { uploadUrl = "", completeUrl = "", sessionUrl } = this.#box.dataset;
    const { user = "" } = document.body.dataset;
    return new ChunkedTransport({
      uploadUrl,
      completeUrl,
      sessionUrl,
      csrfToken: () => csrfToken(document.body.dataset),
      headers: { "X-Holdfast-User": user },
    });
  }

  /**
   * What the server would refuse, said before anything is sent.
   *
   * @param {File} file
   */
  #objection({ name, size, type }) {
    const { maxSize, types = "", textTooLarge = "", textWrongType = "" } = this.#box.dataset;
    const taken = type === "" || types.split(",").includes(type.split(";")[0] ?? "");
    if (!name.toLowerCase().endsWith(".txt") || !taken) return textWrongType;
    return size > Number(maxSize) ? textTooLarge : "";
  }

  /**
   * The upload of this file that was interrupted, as the page tells of it. Another file of the same
   * name and size is found out by its MD5.
   *
   * @param {File} file
   * @returns {SessionToResume | null}
   */
  #interrupted({ name, size }) {
    const notes = /** @type {NodeListOf<HTMLElement>} */ (
      this.#box.querySelectorAll("[data-interrupted]")
    );
    for (const note of notes) {
      const { id = "", name: filename = "", size: expected, offset } = note.dataset;
      if (filename !== name || Number(expected) !== size) continue;
      note.remove();
      return { id, filename, size, offset: Number(offset), sha256: null, urls: { self: "" } };
    }
    return null;
  }

  /** @param {MouseEvent} event */
  #press({ target }) {
    const button = target instanceof Element ? target.closest("button") : null;
    switch (button?.dataset.act) {
      case "pause":
        return this.#upload?.pause();
      case "resume":
      case "retry":
        return this.#upload?.resume();
      case "remove":
        this.#leave();
        this.#choice.value = "";
        this.#find(".seeds-file", HTMLElement).hidden = true;
        this.#choice.focus();
    }
  }

  /** Lets go of what was chosen, here and at the server. */
  #leave() {
    const [before, id] = [this.#upload, this.#id.value];
    this.#upload = null;
    this.#refusal = "";
    this.#id.value = "";
    before?.cancel();
    // It had arrived whole, perhaps for the form that is shown again now.
    if (id) this.#connect().cancel({ id }).catch(() => {});
    this.#allowSubmit(true);
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    const unfinished = this.#upload !== null && this.#upload.phase !== "done";
    if (!unfinished && !this.#refusal) return;
    event.preventDefault();
    const { textUnfinished = "" } = this.#box.dataset;
    this.#say(this.#refusal || `${this.#line()} ${textUnfinished}`);
    this.#find(".seeds-file .actions button:not([hidden])", HTMLElement).focus();
  }

  /** @param {File} file */
  #draw(file) {
    const status = this.#upload?.status;
    const phase = this.#refusal ? "failed" : (status?.phase ?? "waiting");
    const place = this.#find(".seeds-file", HTMLElement);
    place.hidden = false;
    place.dataset.phase = phase;
    this.#find(".seeds-name", HTMLElement).textContent = `${file.name} · ${size(file.size)}`;
    this.#id.value = phase === "done" ? (this.#upload?.sessionId ?? "") : "";
    const bar = this.#find("progress", HTMLProgressElement);
    bar.hidden = phase === "done" || this.#refusal !== "";
    if (status) bar.value = status.total ? (status.sent / status.total) * 100 : 100;
    this.#show("pause", this.#isUnderWay && phase !== "verifying");
    this.#show("resume", phase === "paused" || phase === "retrying");
    this.#show("retry", phase === "failed" && !this.#refusal);
    this.#allowSubmit(!this.#isUnderWay);
    this.#say(this.#refusal || this.#line());
  }

  #line() {
    const status = this.#upload?.status;
    if (!status) return "";
    return status.phase === "done" ? (this.#box.dataset.textDone ?? "") : lineFor(status);
  }

  /**
   * @param {string} act
   * @param {boolean} shown
   */
  #show(act, shown) {
    this.#find(`[data-act=${act}]`, HTMLElement).hidden = !shown;
  }

  /** @param {string} text */
  #say(text) {
    const line = this.#find(".seeds-line", HTMLElement);
    if (line.textContent !== text) line.textContent = text;
  }

  /** @param {boolean} allowed */
  #allowSubmit(allowed) {
    const buttons = /** @type {NodeListOf<HTMLButtonElement>} */ (
      this.#form.querySelectorAll("button[type=submit]")
    );
    for (const button of buttons) button.disabled = !allowed;
  }

  /**
   * @template {Element} E
   * @param {string} selector
   * @param {new () => E} kind
   * @returns {E}
   */
  #find(selector, kind) {
    const found = this.#box.querySelector(selector);
    if (found instanceof kind) return found;
    throw new Error(`the page has no ${selector}`);
  }
}

/** @type {WeakSet<Element>} */
const known = new WeakSet();

function setUp() {
  for (const box of document.querySelectorAll("[data-custom-seeds]")) {
    if (known.has(box) || !(box instanceof HTMLElement)) continue;
    known.add(box);
    new SeedsField(box);
  }
}

setUp();
// The site exchanges pages within one document, for one, when somebody goes back.
document.body.addEventListener("htmx:after:swap", setUp);
