/**
 * The dashboard: the one file of this module that touches the page.
 *
 * The server draws the list and htmx morphs it anew; this file adds what only this tab knows.
 * For each upload it writes a live label and line into slots that a refresh leaves alone, and
 * notes on the row (`data-live-phase`, `data-live-can`) by which the style sheet shows buttons.
 * An upload without a row in the list, because it has no session yet, shows in the tray.
 */

import { WorkerHasher } from "./hashing.js";
import { isBusy, parseRetryAfter } from "./retry.js";
import { HttpTransport } from "./transport.js";
import { Uploader } from "./uploader.js";

/** @import { SessionToResume, SourceFile, UploadFailure, UploadPhase, UploadStatus } from "./types.d.ts" */
/** @import { Upload } from "./upload.js" */

/** Milliseconds: numbers that change faster than this cannot be read. */
const REDRAW = 250;
/** Seconds count down. */
const TICK = 1000;
/** At most one refresh of the list a second, however fast chunks are acknowledged. */
const REFRESH = 1000;

/** @type {Record<UploadPhase, string>} */
const LABELS = {
  waiting: "Waiting",
  checking: "Checking",
  sending: "Sending",
  paused: "Paused",
  offline: "Offline",
  retrying: "Retrying",
  verifying: "Verifying",
  done: "Done",
  failed: "Stopped",
  cancelled: "Cancelled",
};

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

/** Seconds until a list that a busy server did not give is asked for again, unless it says so. */
const REFRESH_AFTER_REFUSAL = 5;

/** What the button that resumes is called in the tray, in other phases than most. */
const AGAIN = /** @type {Partial<Record<string, string>>} */ ({
  failed: "Try again",
  retrying: "Try now",
});

/** Failures that only the file, chosen again, can mend. */
const NEEDS_THE_FILE = ["source_changed", "wrong_file"];

/** Worth a word to those who cannot see the page; the rest would chatter. */
const ANNOUNCED = /** @type {Partial<Record<UploadPhase, string>>} */ ({
  paused: "paused",
  offline: "waiting for the network",
  failed: "stopped",
  cancelled: "cancelled",
});

/**
 * What the page remembers of an upload.
 *
 * @typedef {object} Entry
 * @property {Upload} upload
 * @property {SessionToResume | null} offered the session it was meant to continue
 * @property {HTMLElement | null} trayItem
 * @property {HTMLElement | null} row where it was last drawn in the list
 * @property {string} news what the server's list last heard of
 * @property {UploadPhase | null} phase as last announced
 * @property {string} obstacle as last announced
 */

class Dashboard {
  #root;
  #uploader;
  #transport;
  /** @type {Map<Upload, Entry>} */
  #entries = new Map();
  /** What a row without an upload has to say, by its session's id. @type {Map<string, string>} */
  #remarks = new Map();
  /** The session that the next chosen file is meant for. @type {SessionToResume | null} */
  #resuming = null;
  /** @type {number | undefined} */
  #redrawTimer;
  /** @type {number | undefined} */
  #refreshTimer;
  /** @type {number | undefined} */
  #retryTimer;
  #lastRefresh = -Infinity;
  #dragDepth = 0;

  /** @param {HTMLElement} root */
  constructor(root) {
    this.#root = root;
    this.#transport = new HttpTransport({
      csrfToken: () => csrfToken(root),
      handshakeUrl: root.dataset.handshakeUrl,
    });
    this.#uploader = new Uploader({
      transport: this.#transport,
      hasher: new WorkerHasher({ workerUrl: root.dataset.workerUrl ?? "" }),
    });
    this.#listen();
  }

  #listen() {
    this.#uploader.addEventListener("change", (event) => {
      if (event instanceof CustomEvent) this.#changed(event.detail);
    });
    this.#root.addEventListener("click", (event) => this.#clicked(event));
    this.#listenToInputs();
    this.#listenToDrops();
    this.#listenToRefreshes();
    window.addEventListener("beforeunload", (event) => {
      if (this.#uploader.busy) event.preventDefault();
    });
  }

  #listenToInputs() {
    const choose = input("choose-files");
    const addChosen = () => {
      for (const file of chosen(choose)) this.#add(file);
    };
    choose.addEventListener("change", addChosen);
    // On a slow link a person may have chosen before this module was there.
    addChosen();
    const resume = input("resume-file");
    resume.addEventListener("change", () => {
      const [file] = chosen(resume);
      if (file) this.#add(file, this.#resuming);
    });
  }

  #listenToDrops() {
    window.addEventListener("dragenter", (event) => this.#dragged(event, 1));
    window.addEventListener("dragleave", (event) => this.#dragged(event, -1));
    window.addEventListener("dragover", (event) => {
      if (carriesFiles(event)) event.preventDefault();
    });
    window.addEventListener("drop", (event) => {
      if (!carriesFiles(event)) return;
      event.preventDefault();
      this.#dragDepth = 0;
      this.#showDragging();
      for (const file of dropped(event)) this.#add(file);
    });
  }

  /**
   * Enter and leave come for every element passed over; only their balance tells.
   *
   * @param {DragEvent} event
   * @param {number} step
   */
  #dragged(event, step) {
    if (!carriesFiles(event)) return;
    this.#dragDepth = Math.max(0, this.#dragDepth + step);
    this.#showDragging();
  }

  #showDragging() {
    document.documentElement.toggleAttribute("data-dragging", this.#dragDepth > 0);
  }

  #listenToRefreshes() {
    document.body.addEventListener("htmx:before:request", (event) => {
      if (!navigator.onLine) event.preventDefault();
    });
    document.body.addEventListener("htmx:after:swap", () => {
      byId("signed-out").hidden = true;
      this.#draw();
    });
    document.body.addEventListener("htmx:before:response", (event) => {
      if (!(event instanceof CustomEvent)) return;
      const { status, headers } = event.detail.ctx.response;
      if (status >= 500) this.#refreshLater(headers.get("Retry-After"));
      // htmx would leave for the sign-in page, and the chosen files would be lost to this one.
      if (status !== 401 || this.#entries.size === 0) return;
      event.preventDefault();
      byId("signed-out").hidden = false;
    });
  }

  /**
   * Errors leave the list as it is, and nothing else may come along to have it fetched anew.
   *
   * @param {string | null} retryAfter
   */
  #refreshLater(retryAfter) {
    const seconds = parseRetryAfter(retryAfter, Date.now()) ?? REFRESH_AFTER_REFUSAL;
    window.clearTimeout(this.#retryTimer);
    this.#retryTimer = window.setTimeout(() => this.#refreshSoon(), seconds * 1000);
  }

  // --------------------------------------------------------------- uploads

  /**
   * @param {SourceFile} file
   * @param {SessionToResume | null} [session]
   */
  #add(file, session = null) {
    if (session) this.#unsay(session.id);
    // The first change comes before `add` returns: the entry must know its session by then.
    this.#resuming = session;
    this.#uploader.add(file, { session });
    this.#resuming = null;
  }

  /** @param {string} id of a session */
  #unsay(id) {
    const row = this.#remarks.delete(id) && rowOf(id);
    if (row) setLine(row, "");
  }

  /** @param {Upload} upload */
  #changed(upload) {
    const entry = this.#entryOf(upload);
    if (!entry) return;
    const { status } = upload;
    this.#tell(entry, status);
    if (status.phase === "done" && !status.existed) this.#forget(entry);
    else if (status.phase === "cancelled") this.#forget(entry);
    else if (status.error?.code === "wrong_file") this.#refuse(entry, status.error.message);
    else if (status.error?.code === "signed_out") byId("signed-out").hidden = false;
    this.#drawSoon();
  }

  /** @param {Upload} upload */
  #entryOf(upload) {
    const known = this.#entries.get(upload);
    if (known || !this.#uploader.uploads.includes(upload)) return known;
    /** @type {Entry} */
    const entry = {
      upload,
      offered: this.#resuming,
      trayItem: null,
      row: null,
      news: "",
      phase: null,
      obstacle: "",
    };
    this.#entries.set(upload, entry);
    return entry;
  }

  /**
   * Passes on what others want to know: the server's list, and the person's screen reader.
   *
   * @param {Entry} entry
   * @param {UploadStatus} status
   */
  #tell(entry, { phase, session, acknowledged, filename, error }) {
    const news = session ? `${session.id} ${phase} ${acknowledged}` : "";
    if (news !== entry.news) this.#refreshSoon();
    entry.news = news;
    if (phase === entry.phase) return;
    entry.phase = phase;
    this.#tellObstacle(entry, filename, error);
    if (phase === "done") announce(`${filename}: complete and verified`);
    const word = ANNOUNCED[phase];
    if (word) announce(`${filename}: ${word}. ${error?.message ?? ""}`);
  }

  /**
   * A server that is busy may be so for hours: that is worth a word, but only the first time.
   *
   * @param {Entry} entry
   * @param {string} filename
   * @param {UploadFailure | null} error
   */
  #tellObstacle(entry, filename, error) {
    if (!error || !isBusy(error) || error.message === entry.obstacle) return;
    entry.obstacle = error.message;
    announce(`${filename}: waiting. ${error.message}`);
  }

  /** @param {Entry} entry */
  #forget(entry) {
    this.#entries.delete(entry.upload);
    this.#uploader.remove(entry.upload);
    entry.trayItem?.remove();
    if (entry.row) clear(entry.row);
    this.#refreshSoon();
  }

  /**
   * A wrong file changes nothing: the row is as it was, with the reason beside it.
   *
   * @param {Entry} entry
   * @param {string} reason
   */
  #refuse(entry, reason) {
    if (!entry.offered || !rowOf(entry.offered.id)) return;
    this.#remarks.set(entry.offered.id, reason);
    this.#forget(entry);
  }

  // --------------------------------------------------------------- buttons

  /** @param {Event} event */
  #clicked({ target }) {
    const button = target instanceof Element ? target.closest("[data-action]") : null;
    const place = button?.closest(".upload");
    if (!(button instanceof HTMLButtonElement) || !(place instanceof HTMLElement)) return;
    const entry = [...this.#entries.values()].find(
      ({ trayItem, row }) => trayItem === place || row === place,
    );
    this.#act(button.dataset.action, place, entry);
  }

  /**
   * @param {string | undefined} action
   * @param {HTMLElement} place a row of the list or an item of the tray
   * @param {Entry | undefined} entry
   */
  #act(action, place, entry) {
    if (action === "pause") entry?.upload.pause();
    else if (action === "resume") this.#resume(place, entry);
    else if (action === "dismiss" && entry) this.#forget(entry);
    else if (action === "cancel") this.#cancel(place, entry);
    else if (action === "delete") this.#delete(place);
    else if (action === "remove") this.#withdraw(place);
  }

  /**
   * @param {HTMLElement} place
   * @param {Entry | undefined} entry
   */
  #resume(place, entry) {
    if (entry && !NEEDS_THE_FILE.includes(entry.upload.status.error?.code ?? "")) {
      entry.upload.resume();
      return;
    }
    // The file must be chosen (again): a page cannot keep it beyond a reload.
    if (entry) this.#forget(entry);
    this.#resuming = sessionOf(place);
    if (this.#resuming) input("resume-file").click();
    else input("choose-files").click();
  }

  /**
   * @param {HTMLElement} place
   * @param {Entry | undefined} entry
   */
  async #cancel(place, entry) {
    const session = entry?.upload.status.session ?? sessionOf(place);
    const agreed = session && (await confirmed({
      title: "Cancel this upload?",
      name: session.filename,
      text: "What the server has received of it so far is removed.",
      yes: "Cancel upload",
    }));
    if (session && !agreed) return;
    if (!entry) return this.#withdraw(place);
    const owned = entry.upload.status.session !== null;
    await entry.upload.cancel();
    // Offered but not yet checked: the module leaves such a session alone, we may not.
    if (!owned && session) await this.#withdraw(place);
    this.#refreshSoon();
  }

  /** @param {HTMLElement} place */
  async #delete(place) {
    const session = sessionOf(place);
    const agreed = session && (await confirmed({
      title: "Delete this file?",
      name: session.filename,
      text: "It is removed from the server. This cannot be undone.",
      yes: "Delete file",
    }));
    if (agreed) await this.#withdraw(place);
  }

  /**
   * Cancels or deletes at the server, whichever the session's state calls for.
   *
   * @param {HTMLElement} place
   */
  async #withdraw(place) {
    const session = sessionOf(place);
    if (!session) return;
    try {
      await this.#transport.cancel(session);
      this.#unsay(session.id);
      announce(`${session.filename}: removed`);
      // The button that has the focus goes with its row.
      byId("uploads-title").focus();
    } catch (error) {
      this.#remarks.set(session.id, error instanceof Error ? error.message : String(error));
      this.#drawSoon();
    }
    this.#refreshSoon();
  }

  // --------------------------------------------------------------- drawing

  /** Has the list fetched anew: now, or when a second has passed since the last time. */
  #refreshSoon() {
    if (this.#refreshTimer !== undefined) return;
    const wait = Math.max(0, this.#lastRefresh + REFRESH - performance.now());
    this.#refreshTimer = window.setTimeout(() => {
      this.#refreshTimer = undefined;
      this.#lastRefresh = performance.now();
      document.body.dispatchEvent(new CustomEvent("uploads:changed"));
    }, wait);
  }

  /** @param {number} [delay] */
  #drawSoon(delay = REDRAW) {
    this.#redrawTimer ??= window.setTimeout(() => this.#draw(), delay);
  }

  #draw() {
    window.clearTimeout(this.#redrawTimer);
    this.#redrawTimer = undefined;
    for (const entry of this.#entries.values()) this.#drawEntry(entry);
    this.#drawRemarks();
    if (this.#uploader.busy) this.#drawSoon(TICK);
  }

  /** @param {Entry} entry */
  #drawEntry(entry) {
    const { status } = entry.upload;
    const row = rowOf(status.session?.id ?? entry.offered?.id);
    // A row that has ended tells its own story, and its buttons belong to the server's view.
    const home = row && ["active", "assembling"].includes(row.dataset.state ?? "") ? row : null;
    if (entry.row && entry.row !== home) clear(entry.row);
    entry.row = home;
    if (home) {
      entry.trayItem?.remove();
      entry.trayItem = null;
      show(home, status);
      return;
    }
    entry.trayItem ??= newTrayItem(status.filename);
    show(entry.trayItem, status);
    showInTray(entry.trayItem, status, row);
  }

  #drawRemarks() {
    for (const [id, text] of this.#remarks) {
      const row = rowOf(id);
      if (row) setLine(row, text, "error");
      else this.#remarks.delete(id);
    }
  }
}

// ------------------------------------------------------------- rows and items

/**
 * @param {HTMLElement} place
 * @param {UploadStatus} status
 */
function show(place, status) {
  const focused = place.contains(document.activeElement);
  place.dataset.livePhase = status.phase;
  setOrDelete(place, "liveCan", CAN[status.phase]);
  setOrDelete(place, "liveHurry", status.phase === "retrying" ? "" : undefined);
  slot(place, "label").textContent = status.existed ? "Already here" : LABELS[status.phase];
  setLine(place, lineFor(status), status.phase === "failed" ? "error" : "");
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
function showBar(place, { phase, checked, sent, total, acknowledged, session }) {
  const bar = place.querySelector("progress");
  if (!bar) return;
  const done = { checking: checked, sending: sent }[String(phase)] ?? acknowledged;
  const ours = "tray" in place.dataset || (session !== null && phase !== "checking");
  bar.toggleAttribute("hx-morph-skip", phase === "sending");
  if (ours) bar.value = percent(done, total);
}

/**
 * @param {HTMLElement} item of the tray
 * @param {UploadStatus} status
 * @param {HTMLElement | null} row of the session that the file ended at
 */
function showInTray(item, { phase, session, existed, total, acknowledged }, row) {
  const part = session && !existed ? `${size(acknowledged)} of ` : "";
  slot(item, "amount").textContent = part + size(total);
  slot(item, "resume").textContent = AGAIN[String(phase)] ?? "Resume";
  const link = slot(item, "to-row");
  link.hidden = row === null;
  if (row) link.setAttribute("href", `#${row.id}`);
}

/** @param {HTMLElement} row */
function clear(row) {
  delete row.dataset.livePhase;
  delete row.dataset.liveCan;
  delete row.dataset.liveHurry;
  slot(row, "label").textContent = "";
  setLine(row, "");
  row.querySelector("progress")?.removeAttribute("hx-morph-skip");
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

/** @param {string} filename */
function newTrayItem(filename) {
  const template = byId("tray-item");
  if (!(template instanceof HTMLTemplateElement)) throw new Error("#tray-item is no template");
  const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  const item = /** @type {HTMLElement} */ (copy.firstElementChild);
  const name = /** @type {HTMLElement} */ (item.querySelector("h3"));
  name.textContent = name.title = filename;
  item.querySelector("progress")?.setAttribute("aria-label", filename);
  byId("tray").append(item);
  return item;
}

/**
 * @param {HTMLElement} place
 * @param {string} text
 * @param {string} [tone]
 */
function setLine(place, text, tone = "") {
  const line = slot(place, "line");
  if (line.textContent !== text) line.textContent = text;
  setOrDelete(line, "tone", tone || undefined);
}

/**
 * @param {HTMLElement} element
 * @param {string} name
 * @param {string | undefined} value
 */
function setOrDelete(element, name, value) {
  if (value === undefined) delete element.dataset[name];
  else element.dataset[name] = value;
}

// ----------------------------------------------------------------- in words

/**
 * @param {UploadStatus} status
 * @returns {string}
 */
function lineFor(status) {
  const { phase, total, checked, existed, error, retryAt } = status;
  if (existed) return "The server has this very file already, so nothing was sent.";
  switch (phase) {
    case "waiting":
      return "Waiting for its turn.";
    case "checking":
      if (checked === total) return "Comparing the file with what the server has of it.";
      return `Reading the file to know it by its content: ${percent(checked, total)} %`;
    case "sending":
      return pace(status);
    case "paused":
      return "Paused. What the server has is kept.";
    case "offline":
      return "There is no network. This goes on by itself when it is back.";
    case "retrying":
      return `${error?.message ?? ""} ${countdown(retryAt)}`.trim();
    case "verifying":
      return "All sent. The server is checking the whole file.";
    case "failed":
      return error?.message ?? "";
    default:
      return "";
  }
}

/** @param {UploadStatus} status */
function pace({ speed, timeLeft, sent, acknowledged }) {
  if (speed < 1 || timeLeft === null) return "Starting.";
  const underWay = sent > acknowledged ? `${size(sent - acknowledged)} on the way · ` : "";
  return `${underWay}${size(speed)}/s · ${duration(timeLeft)} left`;
}

/** @param {number | null} moment */
function countdown(moment) {
  const seconds = Math.ceil(((moment ?? 0) - Date.now()) / 1000);
  return seconds > 0 ? `Trying again in ${duration(seconds)}.` : "Trying again.";
}

/** @param {number} seconds */
function duration(seconds) {
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/**
 * As Django's `filesizeformat` writes it, so that both halves of a row agree.
 *
 * @param {number} bytes
 */
function size(bytes) {
  if (bytes < 1024) return `${Math.round(bytes)}\u00a0bytes`;
  const units = ["KB", "MB", "GB", "TB", "PB"];
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)}\u00a0${units[power - 1]}`;
}

/**
 * @param {number} part
 * @param {number} whole
 */
function percent(part, whole) {
  return whole > 0 ? Math.floor((part / whole) * 100) : 100;
}

/** @param {string} text */
function announce(text) {
  byId("announcer").textContent = text;
}

// ----------------------------------------------------------------- the page

/**
 * Resolves to whether the person said yes.
 *
 * @param {{ title: string, name: string, text: string, yes: string }} question
 * @returns {Promise<boolean>}
 */
function confirmed(question) {
  const dialog = byId("confirm");
  if (!(dialog instanceof HTMLDialogElement)) throw new Error("#confirm is no dialog");
  for (const [part, text] of Object.entries(question)) byId(`confirm-${part}`).textContent = text;
  // Escape would otherwise leave the answer of the last time.
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** @param {DragEvent} event */
function carriesFiles({ dataTransfer }) {
  return dataTransfer?.types.includes("Files") ?? false;
}

/**
 * The files of a drop. A folder looks like a file that cannot be read, so it is left out.
 *
 * @param {DragEvent} event
 * @returns {File[]}
 */
function dropped({ dataTransfer }) {
  const items = [...(dataTransfer?.items ?? [])].filter(({ kind }) => kind === "file");
  const files = items.filter((item) => !item.webkitGetAsEntry()?.isDirectory);
  if (files.length < items.length) announce("Folders are left out: choose the files in them.");
  return files.flatMap((item) => item.getAsFile() ?? []);
}

/**
 * Empties the field, so that the same file can be chosen again.
 *
 * @param {HTMLInputElement} field
 * @returns {File[]}
 */
function chosen(field) {
  const files = [...(field.files ?? [])];
  field.value = "";
  return files;
}

/**
 * The cookie first: signing in again, in another tab, changes the token.
 *
 * @param {HTMLElement} root
 */
function csrfToken({ dataset }) {
  const start = `${dataset.csrfCookie}=`;
  const cookie = document.cookie.split("; ").find((pair) => pair.startsWith(start));
  return cookie?.slice(start.length) ?? dataset.csrfToken ?? "";
}

/**
 * @param {HTMLElement} place
 * @returns {SessionToResume | null}
 */
function sessionOf({ dataset }) {
  return dataset.session ? JSON.parse(dataset.session) : null;
}

/** @param {string | undefined} id of a session */
function rowOf(id) {
  return id === undefined ? null : document.getElementById(`upload-${id}`);
}

/**
 * @param {HTMLElement} place
 * @param {string} name
 */
function slot(place, name) {
  const element = place.querySelector(`[data-slot="${name}"]`);
  if (!(element instanceof HTMLElement)) throw new Error(`no slot ${name}`);
  return element;
}

/** @param {string} id */
function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`#${id} is missing`);
  return element;
}

/** @param {string} id */
function input(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}

const root = document.getElementById("dashboard");
if (root) new Dashboard(root);
