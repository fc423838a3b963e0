/** The bar below every page: all uploads of this tab together, and what can be done to all. */

import { announce, byId, confirmed, setText, slot } from "./dom.js";
import { SPOKEN_OF } from "./live.js";
import { ending, fill, gettext, headline, ngettext, percent, totalsLine } from "./words.js";

/** @import { UploadTotals } from "../types.d.ts" */
/** @import { Uploader } from "../uploader.js" */

/** Where the browser keeps how many files a person wants sent at once. */
const AT_ONCE = "holdfast.at-once";

export class Dock {
  #uploader;
  #root = byId("dock");
  #active = false;

  /** @param {Uploader} uploader */
  constructor(uploader) {
    this.#uploader = uploader;
    this.#root.addEventListener("click", (event) => this.#clicked(event));
    this.#choosePace();
  }

  /** @param {UploadTotals} totals */
  draw(totals) {
    const { files, active, paused, failed, bytes, bytesSent } = totals;
    // Of fewer, each has been spoken of.
    if (this.#active && active === 0 && files > SPOKEN_OF) {
      announce(paused ? headline(totals) : ending(totals));
    }
    this.#active = active > 0;
    this.#show((active || paused || failed) > 0 && !this.#isPlain(totals));
    if (this.#root.hidden) return;
    setText(slot(this.#root, "headline"), headline(totals));
    setText(slot(this.#root, "detail"), totalsLine(totals));
    const bar = slot(this.#root, "bar");
    if (bar instanceof HTMLProgressElement) bar.value = percent(bytesSent, bytes);
    const waiting = totals.nextAttempt !== null && totals.speed < 1;
    this.#offer("pause", active > 0);
    this.#offer("resume", paused > 0 || waiting);
    this.#offer("retry", failed > 0 && this.#uploader.canRetry);
    this.#offer("cancel", files > 0);
  }

  /** @param {boolean} shown or gone, and then the focus that was in it goes to the page */
  #show(shown) {
    const focused = this.#root.contains(document.activeElement);
    this.#root.hidden = !shown;
    if (focused && !shown) byId("main").focus({ preventScroll: true });
  }

  /** A single file tells its own story, where its row or item is. @param {UploadTotals} totals */
  #isPlain({ files }) {
    return files === 1 && document.querySelector("[data-live-phase]") !== null;
  }

  /**
   * A button that goes away hands the focus on, so that no key is pressed into nothing.
   *
   * @param {string} name
   * @param {boolean} possible
   */
  #offer(name, possible) {
    const button = this.#button(name);
    const focused = document.activeElement === button;
    button.hidden = !possible;
    if (focused && !possible) this.#button("cancel").focus();
  }

  /** @param {string} name */
  #button(name) {
    return /** @type {HTMLButtonElement} */ (this.#root.querySelector(`[data-all="${name}"]`));
  }

  /** @param {Event} event */
  #clicked({ target }) {
    const button = target instanceof Element ? target.closest("[data-all]") : null;
    if (!(button instanceof HTMLElement)) return;
    const { all } = button.dataset;
    if (all === "pause") this.#uploader.pauseAll();
    else if (all === "resume") this.#uploader.resumeAll();
    else if (all === "retry") this.#uploader.retryAll();
    else if (all === "cancel") this.#cancel();
  }

  async #cancel() {
    const { active, paused, failed } = this.#uploader.totals;
    const count = active + paused + failed;
    const agreed = await confirmed({
      title: gettext("Cancel all uploads of this page?"),
      name: fill(ngettext("%(count)s upload", "%(count)s uploads", count), { count }),
      text: gettext("What the server has received of them so far is removed. Complete files stay."),
      yes: gettext("Cancel all"),
    });
    if (!agreed) return;
    await this.#uploader.cancelAll();
    // What stopped before the server knew of it is nowhere but here.
    for (const upload of this.#uploader.uploads) {
      if (upload.phase === "failed" && !upload.sessionId) this.#uploader.remove(upload);
    }
  }

  #choosePace() {
    const field = byId("at-once");
    if (!(field instanceof HTMLSelectElement)) return;
    const kept = localStorage.getItem(AT_ONCE);
    if (kept && [...field.options].some(({ value }) => value === kept)) field.value = kept;
    const apply = () => {
      this.#uploader.files = Number(field.value);
    };
    apply();
    field.addEventListener("change", () => {
      apply();
      localStorage.setItem(AT_ONCE, field.value);
    });
  }
}
