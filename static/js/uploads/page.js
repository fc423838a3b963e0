/**
 * The page around the upload module: what a person does goes in, what happens is drawn.
 *
 * Pages of the site change within one document (htmx exchanges #main), so that what is being sent
 * goes on. Each part of the page has a module of its own in `page/`; this one holds the uploads.
 */

import { asUploadError, needsTheFile } from "./errors.js";
import { WorkerHasher } from "./hashing.js";
import { match } from "./matching.js";
import { Dock } from "./page/dock.js";
import { announce, byId, confirmed, csrfToken, rowOf, sessionOf, setText } from "./page/dom.js";
import { listenToFiles } from "./page/files.js";
import { Intake } from "./page/intake.js";
import { clear, drawAll, leaveTray, newEntry, setLine, speakOf } from "./page/live.js";
import { isRefresh, Refreshing } from "./page/refreshing.js";
import { remark } from "./page/remarks.js";
import { fill, gettext, mismatch, ngettext, sentence } from "./page/words.js";
import { isAtRest } from "./phases.js";
import { HttpTransport } from "./transport.js";
import { Uploader } from "./uploader.js";

/** @import { ChosenFile, SessionToResume } from "./types.d.ts" */
/** @import { Entry } from "./page/live.js" */
/** @import { Upload } from "./upload.js" */

/** Milliseconds: numbers that change faster than this cannot be read. */
const REDRAW = 250;
/** Seconds count down. */
const TICK = 1000;
/** Pages of interrupted uploads that are looked through for the files that somebody chose. */
const MOST_PAGES = 40;
/** What a server says that could not do what a form or a link asked for. @type {Record<number, string>} */
const BUSY = {
  503: gettext("The server is busy and could not do this right now. Nothing was lost: try again in a few seconds."),
  507: gettext("The server’s disk is full, so it could not do this. Nothing was lost: try again once there is room."),
};

class Page {
  #site;
  #transport;
  #uploader;
  #dock;
  #refreshing;
  /** @type {Map<Upload, Entry>} */
  #entries = new Map();
  /** What a row without an upload has to say, by its session's id. @type {Map<string, string>} */
  #remarks = new Map();
  /** The session whose Resume was pressed; null when files for any may be chosen. */
  #resuming = /** @type {SessionToResume | null} */ (null);
  /** What needs its file chosen anew, and is forgotten when that has been done. */
  #replacing = /** @type {Entry | null} */ (null);
  /** Names of files of this batch that the server had already. @type {string[]} */
  #existed = [];
  /** SHA-256 of what this batch has sent: an equal file after it is no surprise. */
  #sent = new Set();
  /** Set while an upload is being added, for its first change comes before `add` returns. */
  #offered = /** @type {SessionToResume | null} */ (null);
  /** @type {number | undefined} */
  #redrawTimer;

  /** @param {DOMStringMap} site what the body says of addresses and tokens */
  constructor(site) {
    this.#site = site;
    this.#transport = new HttpTransport({
      csrfToken: () => csrfToken(site),
      handshakeUrl: site.handshakeUrl,
      headers: pageOf(site),
    });
    this.#uploader = new Uploader({
      transport: this.#transport,
      hasher: new WorkerHasher({ workerUrl: site.workerUrl ?? "" }),
    });
    this.#dock = new Dock(this.#uploader);
    this.#refreshing = new Refreshing(() => this.#uploader.totals.active);
    if (tellTimezone() && document.querySelector("time")) this.#refreshing.soon();
    this.#listen();
    new Intake({
      add: (files) => this.#addAll(files),
      resume: (files) => this.#resumeWith(files),
    });
  }

  #listen() {
    this.#uploader.addEventListener("change", (event) => {
      if (event instanceof CustomEvent) this.#changed(event.detail);
    });
    document.addEventListener("click", (event) => this.#clicked(event));
    document.body.addEventListener("htmx:after:swap", () => {
      this.#refreshing.watchUndo();
      this.#draw();
    });
    document.body.addEventListener("htmx:config:request", (event) => this.#refreshToken(event));
    document.body.addEventListener("htmx:after:request", (event) => this.#tellOthersOf(event));
    document.body.addEventListener("htmx:before:response", (event) => this.#checkAnswer(event));
    document.body.addEventListener("htmx:before:swap", (event) => this.#checkPart(event));
    document.body.addEventListener("htmx:error", (event) => this.#missed(event));
    listenToFiles();
    window.addEventListener("beforeunload", (event) => {
      if (this.#uploader.busy) event.preventDefault();
    });
  }

  // --------------------------------------------------------------- uploads

  /** @param {ChosenFile[]} files */
  #addAll(files) {
    this.#uploader.addAll(files);
  }

  /**
   * @param {ChosenFile} chosen
   * @param {SessionToResume} session
   */
  #continue({ file, folder }, session) {
    this.#unsay(session.id);
    const ended = this.#entryAt(session.id);
    if (ended) this.#forget(ended);
    this.#offered = session;
    // Begun anew, if it has expired, it lies where it was.
    this.#uploader.add(file, { session, folder: folder || session.folder });
    this.#offered = null;
  }

  /** @param {string} id of the session of an upload that came to rest without being complete */
  #entryAt(id) {
    return [...this.#entries.values()].find(
      ({ upload }) => upload.sessionId === id && isAtRest(upload.phase),
    );
  }

  /**
   * The file of an upload that has no session yet, chosen again.
   *
   * @param {ChosenFile} chosen
   * @param {Entry} entry
   */
  #replace({ file, folder }, entry) {
    this.#forget(entry);
    this.#uploader.add(file, { folder: folder || entry.upload.folder });
  }

  /**
   * Files chosen for interrupted uploads. One chosen by the Resume of a row is meant for it;
   * several each find their own.
   *
   * @param {ChosenFile[]} files
   */
  async #resumeWith(files) {
    const [meant, replaced] = [this.#resuming, this.#replacing];
    this.#resuming = this.#replacing = null;
    if (meant && files.length === 1) return this.#continue(files[0], meant);
    if (replaced && !meant && files.length === 1) return this.#replace(files[0], replaced);
    /** @type {SessionToResume[]} */
    let sessions;
    try {
      sessions = await this.#interrupted();
    } catch {
      const text = gettext("The server cannot be reached. Nothing is lost: choose the files again later.");
      return remark(text, []);
    }
    const { pairs, unmatched } = match(files, sessions);
    for (const { file, folder, session } of pairs) {
      this.#continue(/** @type {ChosenFile} */ ({ file, folder }), session);
    }
    if (unmatched.length) this.#remarkOn(/** @type {any} */ (unmatched));
  }

  /** @returns {Promise<SessionToResume[]>} of this person, wherever they were begun */
  async #interrupted() {
    /** @type {SessionToResume[]} */
    const found = [];
    /** @type {string | null} */
    let url = `${this.#site.sessionsUrl}?state=active`;
    for (let page = 0; url && page < MOST_PAGES; page += 1) {
      const answer = await fetch(url, { headers: pageOf(this.#site) });
      if (!answer.ok) throw new Error(`the list of uploads was refused with ${answer.status}`);
      const { results, next } = await answer.json();
      found.push(...results);
      url = next;
    }
    return found.filter(({ id }) => isAtRest(this.#uploader.find(id)?.phase ?? "failed"));
  }

  /** @param {(ChosenFile & { reason: any, session: SessionToResume | null })[]} unmatched */
  #remarkOn(unmatched) {
    const text = ngettext(
      "%(count)s file belongs to no interrupted upload and was not sent:",
      "%(count)s files belong to no interrupted upload and were not sent:",
      unmatched.length,
    );
    remark(fill(text, { count: unmatched.length }), unmatched.map(mismatch), {
      sendAnyway: () => this.#addAll(unmatched.map(({ file, folder }) => ({ file, folder }))),
      more: andMore,
    });
  }

  /** @param {string} id of a session */
  #unsay(id) {
    const row = this.#remarks.delete(id) && rowOf(id);
    if (row) setLine(row, "");
  }

  /** @param {Upload} upload */
  #changed(upload) {
    if (!this.#entries.has(upload) && this.#uploader.has(upload)) {
      this.#entries.set(upload, newEntry(upload, this.#offered));
    }
    this.#drawSoon();
  }

  /** @param {Entry} entry */
  #forget(entry) {
    this.#entries.delete(entry.upload);
    this.#uploader.remove(entry.upload);
    leaveTray(entry);
    if (entry.row) clear(entry.row);
  }

  // --------------------------------------------------------------- buttons

  /** @param {Event} event */
  #clicked(event) {
    const target = event.target instanceof Element ? event.target : null;
    const button = target?.closest("[data-action]");
    if (!(button instanceof HTMLButtonElement)) return;
    if (button.dataset.action === "resume-all") return this.#choose(null);
    const place = button.closest(".upload");
    if (!(place instanceof HTMLElement)) return;
    const entry = [...this.#entries.values()].find(
      ({ trayItem, row }) => trayItem === place || row === place,
    );
    this.#act(button, place, entry, event);
    // Whoever presses something sees it at once.
    this.#draw();
  }

  /**
   * What needs no module goes its way to the server: deleting, removing, downloading.
   *
   * @param {HTMLButtonElement} button
   * @param {HTMLElement} place a row of the list, the page about it, or an item of the tray
   * @param {Entry | undefined} entry
   * @param {Event} event
   */
  #act(button, place, entry, event) {
    const { action } = button.dataset;
    if (action === "pause") entry?.upload.pause();
    else if (action === "resume") this.#resume(place, entry);
    else if (action === "dismiss" && entry) this.#dismiss(entry);
    else if (action === "cancel") {
      event.preventDefault();
      this.#cancel(button, place, entry);
    }
  }

  /** @param {Entry} entry */
  #dismiss(entry) {
    this.#forget(entry);
    byId("main").focus({ preventScroll: true });
  }

  /**
   * @param {HTMLElement} place
   * @param {Entry | undefined} entry
   */
  #resume(place, entry) {
    if (entry && !needsTheFile(entry.upload.status.error)) {
      entry.upload.resume();
      return;
    }
    // The file must be chosen (again): a page cannot keep it beyond a reload.
    this.#choose(entry?.upload.status.session ?? entry?.offered ?? sessionOf(place), entry);
  }

  /**
   * @param {SessionToResume | null} session or any that was interrupted
   * @param {Entry | null} [replacing]
   */
  #choose(session, replacing = null) {
    this.#resuming = session;
    this.#replacing = replacing;
    byId("resume-files").click();
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {HTMLElement} place
   * @param {Entry | undefined} entry
   */
  async #cancel(button, place, entry) {
    const session = entry?.upload.status.session ?? sessionOf(place);
    const agreed =
      !session ||
      (await confirmed({
        title: gettext("Cancel this upload?"),
        name: session.filename,
        text: gettext("What the server has received of it so far is removed."),
        yes: gettext("Cancel upload"),
      }));
    if (!agreed) return;
    if (!entry) return button.form?.requestSubmit(button);
    const owned = entry.upload.status.session !== null;
    await entry.upload.cancel();
    // Offered but not yet checked: the module leaves such a session alone, we may not.
    if (!owned && session) await this.#withdraw(session);
    this.#refreshing.soon();
  }

  /** @param {SessionToResume} session */
  async #withdraw(session) {
    try {
      await this.#transport.cancel(session);
      announce(fill(gettext("%(name)s: removed"), { name: session.filename }));
      document.getElementById("uploads-title")?.focus();
    } catch (error) {
      this.#remarks.set(session.id, sentence(asUploadError(error)));
      this.#drawSoon();
    }
  }

  // --------------------------------------------------------------- drawing

  /** @param {number} [delay] */
  #drawSoon(delay = REDRAW) {
    this.#redrawTimer ??= window.setTimeout(() => this.#draw(), delay);
  }

  #draw() {
    window.clearTimeout(this.#redrawTimer);
    this.#redrawTimer = undefined;
    const { files } = this.#uploader.totals;
    for (const entry of [...this.#entries.values()]) this.#follow(entry, files);
    drawAll(this.#entries.values());
    this.#drawRemarks();
    countInterrupted();
    const { totals } = this.#uploader;
    this.#dock.draw(totals);
    if (totals.active) this.#drawSoon(TICK);
    else this.#tellExisted();
  }

  /** Of a batch whose files were here already nothing else would be seen. */
  #tellExisted() {
    this.#sent.clear();
    const names = this.#existed.splice(0);
    if (!names.length) return;
    const text = ngettext(
      "%(count)s file was here already, complete and verified, and need not be sent:",
      "%(count)s files were here already, complete and verified, and need not be sent:",
      names.length,
    );
    remark(fill(text, { count: names.length }), names, { more: andMore });
  }

  /**
   * Passes on what others want to know, the list, other tabs and the screen reader, and lets go
   * of what is over.
   *
   * @param {Entry} entry
   * @param {number} files in the batch
   */
  #follow(entry, files) {
    const { upload } = entry;
    const { phase } = upload;
    if (!this.#uploader.has(upload)) return this.#forget(entry);
    // Of hundreds that wait, nothing is new: asking each for its whole status would cost.
    if (phase === "waiting" && entry.phase === "waiting") return;
    const { session, acknowledged, error, existed, filename } = upload.status;
    const began = session !== null && entry.news === "";
    const news = session ? `${session.id} ${phase} ${acknowledged}` : "";
    if (news !== entry.news) this.#refreshing.soon();
    if (began || (phase !== entry.phase && session)) this.#refreshing.tellOthers();
    entry.news = news;
    speakOf(entry, files);
    if (error?.code === "signed_out") byId("signed-out").hidden = false;
    const told = existed && files === 1;
    if (existed && !told && !this.#sent.has(session?.sha256)) this.#existed.push(filename);
    if (phase === "done" && !existed) this.#sent.add(session?.sha256);
    if ((phase === "done" && !told) || phase === "cancelled") this.#forget(entry);
    else if (phase === "failed" && error?.code === "wrong_file") this.#refuse(entry);
  }

  /**
   * A wrong file changes nothing: the row is as it was, with the reason beside it.
   *
   * @param {Entry} entry
   */
  #refuse(entry) {
    const { error } = entry.upload.status;
    if (!error || !entry.offered || !rowOf(entry.offered.id)) return;
    this.#remarks.set(entry.offered.id, sentence(error));
    this.#forget(entry);
  }

  #drawRemarks() {
    for (const [id, text] of this.#remarks) {
      const row = rowOf(id);
      if (row) setLine(row, text, "error");
      else this.#remarks.delete(id);
    }
  }

  // ------------------------------------------------------------------ htmx

  /**
   * Signing in again, in another tab, changes the token that the forms of this page hold.
   *
   * @param {Event} event
   */
  #refreshToken(event) {
    if (!(event instanceof CustomEvent)) return;
    const { body } = event.detail.ctx.request;
    if (body instanceof FormData && body.has("csrfmiddlewaretoken")) {
      body.set("csrfmiddlewaretoken", csrfToken(this.#site));
    }
  }

  /**
   * What a form has done, deleting for one, other tabs show too.
   *
   * @param {Event} event
   */
  #tellOthersOf(event) {
    if (!(event instanceof CustomEvent)) return;
    const { request, response } = event.detail.ctx;
    if (request.method === "POST" && response?.status < 400) this.#refreshing.tellOthers();
  }

  /**
   * Who is signed out is led to the sign-in page, unless files would be lost to this one by it.
   *
   * @param {Event} event
   */
  #checkAnswer(event) {
    if (!(event instanceof CustomEvent)) return;
    const { raw, status } = event.detail.ctx.response;
    if (status in BUSY && !isRefresh(event)) {
      // The page, and its address, stay as they are.
      event.preventDefault();
      return remark(BUSY[status], []);
    }
    const toSignIn = raw.redirected && new URL(raw.url).pathname === this.#site.signInUrl;
    if (status !== 401 && !toSignIn) return;
    if (this.#entries.size === 0) {
      if (toSignIn) location.assign(raw.url);
      else return;
    }
    event.preventDefault();
    byId("signed-out").hidden = this.#entries.size === 0;
  }

  /**
   * An answer without the part that was asked for is no page of ours: a proxy's, for one. Morphed
   * in, it would take that part of the page away.
   *
   * @param {Event} event
   */
  #checkPart(event) {
    if (!(event instanceof CustomEvent) || !(event.target instanceof Element)) return;
    // Refreshes put in place all that comes; of pages, htmx has taken the part already.
    const part = isRefresh(event) ? `#${event.target.id}` : "*";
    const lacking = event.detail.tasks.some(
      (/** @type {any} */ { type, swapSpec, fragment }) =>
        type === "main" && swapSpec.style !== "none" && !fragment.querySelector(part),
    );
    if (!lacking) return;
    event.preventDefault();
    if (!isRefresh(event)) {
      remark(gettext("The server cannot be reached. Nothing is lost: try again in a moment."), []);
    }
  }

  /**
   * A page that could not be fetched; of the list, the next refresh takes care.
   *
   * @param {Event} event
   */
  #missed(event) {
    if (isRefresh(event)) return;
    remark(gettext("The server cannot be reached. Nothing is lost: try again in a moment."), []);
  }
}

/**
 * Whose page this is: signed in as somebody else in another tab, the server must not take what
 * this one sends for theirs.
 *
 * @param {DOMStringMap} site
 */
function pageOf({ user }) {
  return { "X-Holdfast-User": user ?? "" };
}

/** So that the server writes times as this person's clock shows them; whether that was news. */
function tellTimezone() {
  const pair = `timezone=${Intl.DateTimeFormat().resolvedOptions().timeZone}`;
  if (document.cookie.split("; ").includes(pair)) return false;
  document.cookie = `${pair}; path=/; max-age=31536000; SameSite=Lax`;
  return true;
}

/** @param {number} count */
function andMore(count) {
  return fill(ngettext("and %(count)s more", "and %(count)s more", count), { count });
}

/**
 * Those that this tab has taken up count as interrupted no more, whatever the server thinks yet.
 */
function countInterrupted() {
  const banner = document.getElementById("interrupted");
  if (!banner) return;
  const taken = document.querySelectorAll("[data-interrupted][data-live-phase]").length;
  const left = Number(banner.dataset.count) - taken;
  banner.hidden = left <= 0;
  const text = ngettext(
    "%(count)s upload was interrupted.",
    "%(count)s uploads were interrupted.",
    left,
  );
  const place = banner.querySelector('[data-slot="interrupted"]');
  if (place && left > 0) setText(place, fill(text, { count: left }));
}

if (document.body.dataset.handshakeUrl) new Page(document.body.dataset);
