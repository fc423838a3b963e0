/**
 * When the page asks the server for the list, or the upload that it is about, anew: htmx does it
 * every two seconds while something moves, and here is all else. Hidden tabs never ask.
 */

import { parseRetryAfter } from "../retry.js";
import { byId } from "./dom.js";

/** Milliseconds between two refreshes, however fast things happen; and with many files at once. */
const REFRESH = 1000;
const CALM_REFRESH = 3000;
/** Uploads under way from which on a refresh tells nobody more if it comes sooner. */
const MANY = 10;
/** Seconds until a list that a busy server did not give is asked for again, unless it says so. */
const AFTER_REFUSAL = 5;
/** Milliseconds without a look at the server, after which somebody who comes back wants one. */
const STALE = 15_000;
/** What the tabs of one browser tell each other. */
const CHANNEL = "holdfast";

export class Refreshing {
  #channel = new BroadcastChannel(CHANNEL);
  /** @type {number | undefined} */
  #timer;
  /** @type {number | undefined} */
  #retryTimer;
  /** @type {number | undefined} */
  #undoTimer;
  #last = performance.now();
  /** How many times another page has come, or somebody has gone back or forward to one. */
  #pages = 0;
  /** The last of them that was gone back or forward to. */
  #wentTo = 0;
  /** From which of them each request was made. @type {WeakMap<object, number>} */
  #askedFrom = new WeakMap();
  #underWay;

  /** @param {() => number} underWay how many uploads of this tab move */
  constructor(underWay) {
    this.#underWay = underWay;
    this.#channel.addEventListener("message", () => this.soon());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.soon();
    });
    // Nothing was moving, so nothing was asked for; meanwhile somebody may have begun elsewhere.
    for (const sign of ["focus", "online", "pointerdown", "keydown"]) {
      window.addEventListener(sign, () => this.#backAgain());
    }
    document.body.addEventListener("htmx:before:request", (event) => {
      if (isRefresh(event) && (document.hidden || !navigator.onLine)) event.preventDefault();
    });
    document.body.addEventListener("htmx:before:response", (event) => this.#answered(event));
    document.body.addEventListener("htmx:before:request", (event) => this.#noteThePage(event));
    document.addEventListener("htmx:after:history:push", () => {
      this.#pages += 1;
    });
    // The address has changed from here on, though the page has yet to be fetched.
    window.addEventListener("popstate", ({ state }) => {
      if (state?.htmx) this.#wentTo = this.#pages += 1;
    });
    // The document hears also of links that went with their page.
    document.addEventListener("htmx:before:swap", (event) => {
      if (!this.#isOutdated(event)) return;
      event.preventDefault();
      // What it was to show, something deleted for one, the page that is here may lack.
      this.soon();
    });
    this.watchUndo();
  }

  /** Has the list fetched anew: now, or when enough time has passed since the last time. */
  soon() {
    if (this.#timer !== undefined) return;
    const apart = this.#underWay() > MANY ? CALM_REFRESH : REFRESH;
    const wait = Math.max(0, this.#last + apart - performance.now());
    this.#timer = window.setTimeout(() => {
      this.#timer = undefined;
      this.#last = performance.now();
      document.body.dispatchEvent(new CustomEvent("uploads:changed"));
    }, wait);
  }

  /** Something has changed that other tabs may want to show. */
  tellOthers() {
    this.#channel.postMessage(null);
  }

  /** The offer to undo goes when its time is over. */
  watchUndo() {
    const seconds = document.getElementById("undo-notice")?.dataset.refreshIn;
    window.clearTimeout(this.#undoTimer);
    if (seconds) this.#undoTimer = window.setTimeout(() => this.soon(), Number(seconds) * 1000);
  }

  #backAgain() {
    if (performance.now() - this.#last > STALE) this.soon();
  }

  /** @param {Event} event */
  #noteThePage(event) {
    if (event instanceof CustomEvent) this.#askedFrom.set(event.detail.ctx, this.#pages);
  }

  /**
   * Whether somebody has gone on while this was asked for: from the list that a refresh or a search
   * is about, or back from the page with the link. The answer would take them away again, or put
   * one page under the address of another.
   *
   * @param {Event} event
   */
  #isOutdated(event) {
    if (!(event instanceof CustomEvent)) return false;
    const { ctx } = event.detail;
    const { request, sourceElement } = ctx;
    if (isRefresh(event)) return isOfAnotherList(request.action, sourceElement);
    const askedFrom = this.#askedFrom.get(ctx) ?? 0;
    if (sourceElement.id === "tools" || isComingBack(ctx)) return askedFrom !== this.#pages;
    // Of two links, and of forms, the later answer brings its address with it.
    return askedFrom < this.#wentTo;
  }

  /** @param {Event} event */
  #answered(event) {
    if (!isRefresh(event) || !(event instanceof CustomEvent)) return;
    this.#last = performance.now();
    const { status, headers } = event.detail.ctx.response;
    if (status < 400) byId("signed-out").hidden = true;
    if (status >= 500) this.#later(headers.get("Retry-After"));
  }

  /**
   * Errors leave the list as it is, and nothing else may come along to have it fetched anew.
   *
   * @param {string | null} retryAfter
   */
  #later(retryAfter) {
    const seconds = parseRetryAfter(retryAfter, Date.now()) ?? AFTER_REFUSAL;
    window.clearTimeout(this.#retryTimer);
    this.#retryTimer = window.setTimeout(() => this.soon(), seconds * 1000);
  }
}

/**
 * Whether it is about the list, or the upload that the page is about, fetched anew.
 *
 * @param {Event} event of htmx
 */
export function isRefresh({ target }) {
  return target instanceof Element && target.matches("#uploads, [data-whole]");
}

/**
 * Whether it fetches the page that somebody has gone back or forward to.
 *
 * @param {any} ctx a request of htmx
 */
export function isComingBack({ request }) {
  return "HX-History-Restore-Request" in request.headers;
}

/**
 * @param {string} address that was asked for
 * @param {Element} element that asks for itself anew
 */
function isOfAnotherList(address, element) {
  const asked = new URL(address, location.href);
  const now = new URL(element.getAttribute("hx-get") ?? "", location.href);
  asked.searchParams.delete("seen");
  return asked.pathname !== now.pathname || `${asked.searchParams}` !== `${now.searchParams}`;
}
