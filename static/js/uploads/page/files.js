/** The list of files: choosing several, copying, and a focus that no refresh takes away. */

import { announce, byId, setText } from "./dom.js";
import { isComingBack } from "./refreshing.js";
import { count, fill, gettext, ngettext } from "./words.js";

/** Milliseconds for which a button says that it has copied. */
const COPIED = 2000;

/** What a person had the focus on before the list was drawn anew. @type {Element | null} */
let focused = null;
/**
 * What another page has come with; what it is called is known only when all of its request is
 * over. Others, refreshes for one, may end while it is on its way.
 *
 * @type {object | null}
 */
let arriving = null;

export function listenToFiles() {
  document.addEventListener("click", (event) => clicked(event));
  document.addEventListener("change", ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    if (target.id === "choose-all") for (const box of boxes()) box.checked = target.checked;
    if (target.id === "choose-all" || target.classList.contains("choose")) countChosen();
  });
  document.body.addEventListener("htmx:before:swap", () => {
    focused = document.activeElement;
  });
  document.body.addEventListener("htmx:after:swap", (event) => {
    countChosen();
    markSection();
    showFilters();
    keepFocus();
    if (event instanceof CustomEvent && isComingBack(event.detail.ctx)) {
      arriving = event.detail.ctx.response;
    }
  });
  document.addEventListener("htmx:after:history:push", () => {
    window.scrollTo(0, 0);
    markSection();
  });
  document.addEventListener("htmx:after:history:update", (event) => {
    if (!(event instanceof CustomEvent)) return;
    if (event.detail.history.type === "push") arriving = event.detail.response;
  });
  document.addEventListener("htmx:finally:request", (event) => {
    if (event instanceof CustomEvent && event.detail.ctx.response === arriving) arrived();
  });
  document.addEventListener("htmx:after:history:replace", markSection);
}

/** A choice made by hand outlives a morph that says otherwise, of the page before for one. */
function showFilters() {
  for (const option of document.querySelectorAll("#tools option")) {
    if (option instanceof HTMLOptionElement && option.defaultSelected) option.selected = true;
  }
  for (const field of document.querySelectorAll("#tools select")) {
    if (field instanceof HTMLSelectElement && !field.querySelector("[selected]")) {
      field.selectedIndex = 0;
    }
  }
}

// ----------------------------------------------------------------- choosing

function boxes() {
  return /** @type {NodeListOf<HTMLInputElement>} */ (
    document.querySelectorAll("#upload-list .choose")
  );
}

function countChosen() {
  const place = document.getElementById("chosen-count");
  if (!place) return;
  const all = boxes();
  const chosen = [...all].filter(({ checked }) => checked).length;
  const text = ngettext("%(count)s file chosen", "%(count)s files chosen", chosen);
  setText(place, chosen ? fill(text, { count: count(chosen) }) : "");
  const everything = document.getElementById("choose-all");
  if (!(everything instanceof HTMLInputElement)) return;
  everything.checked = all.length > 0 && chosen === all.length;
  everything.indeterminate = chosen > 0 && chosen < all.length;
}

/** In the form that `sha256sum --check` reads. */
function checksums() {
  const rows = [...boxes()].filter(({ checked }) => checked).map((box) => box.closest(".upload"));
  return rows
    .map((row) => {
      const { sha256, folder, filename } = JSON.parse(row?.getAttribute("data-session") ?? "{}");
      return `${sha256}  ${folder ? `${folder}/` : ""}${filename}\n`;
    })
    .join("");
}

// ------------------------------------------------------------------ copying

/** @param {Event} event */
function clicked({ target }) {
  const button = target instanceof Element ? target.closest("button") : null;
  const text = button && textOf(button);
  if (button && text) copy(button, text);
}

/** @param {HTMLButtonElement} button */
function textOf({ dataset }) {
  if (dataset.action === "copy-checksums") return checksums();
  if (dataset.copy) return document.querySelector(dataset.copy)?.textContent?.trim() ?? "";
  return dataset.copyText ?? "";
}

/**
 * @param {HTMLButtonElement} button
 * @param {string} text
 */
async function copy(button, text) {
  const done = await copied(text);
  announce(done ? gettext("Copied.") : gettext("This browser did not let it be copied."));
  if (!done || button.hasAttribute("hx-morph-skip")) return;
  const label = button.textContent;
  button.textContent = gettext("Copied");
  button.setAttribute("hx-morph-skip", "");
  window.setTimeout(() => {
    button.textContent = label;
    button.removeAttribute("hx-morph-skip");
  }, COPIED);
}

/**
 * On plain HTTP there is no clipboard to write to but by way of a selection.
 *
 * @param {string} text
 */
async function copied(text) {
  try {
    if (!navigator.clipboard) return copiedBySelection(text);
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

/** @param {string} text */
function copiedBySelection(text) {
  const before = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "visually-hidden";
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return done;
}

// -------------------------------------------------------------------- focus

/** Rows go, and with them the button that had the focus: then it goes to what comes next. */
function keepFocus() {
  const active = document.activeElement;
  // A button may be there still, but hidden: the browser takes the focus from it later.
  const lost = !(active instanceof HTMLElement) || active === document.body || !canHaveFocus(active);
  if (!lost || !(focused instanceof HTMLElement) || focused === document.body) return;
  const next = ["undo-button", "uploads-title", "unfinished-title", "main"].map((id) =>
    document.getElementById(id),
  );
  [focused, ...next].find((place) => place && canHaveFocus(place))?.focus({ preventScroll: true });
  focused = null;
}

/** @param {HTMLElement} place */
function canHaveFocus(place) {
  return place.isConnected && place.checkVisibility({ visibilityProperty: true });
}

/** Another page, in the same document: it begins at its top, for the ears as well. */
function arrived() {
  byId("main").focus({ preventScroll: true });
  announce(document.title);
}

/** The links of the masthead stay; which of them leads to where one is changes. */
function markSection() {
  for (const link of document.querySelectorAll(".sections a")) {
    const here = link instanceof HTMLAnchorElement && link.pathname === location.pathname;
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}
