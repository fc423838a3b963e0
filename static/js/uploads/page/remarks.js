/** Remarks above the page: what became of files that were chosen and are not being sent. */

import { byId, copyOf, slot } from "./dom.js";

/** Lines of a list that anybody reads. */
const MOST_LINES = 8;

/**
 * @param {string} text
 * @param {string[]} lines
 * @param {{ sendAnyway?: () => void, more?: (count: number) => string }} [options]
 */
export function remark(text, lines, { sendAnyway, more } = {}) {
  const notice = copyOf("remark");
  slot(notice, "text").textContent = text;
  const shown = lines.slice(0, MOST_LINES);
  if (lines.length > shown.length && more) shown.push(more(lines.length - shown.length));
  slot(notice, "list").replaceChildren(...shown.map(listItem));
  const send = /** @type {HTMLButtonElement} */ (
    notice.querySelector('[data-remark="send-anyway"]')
  );
  send.hidden = !sendAnyway;
  send.addEventListener("click", () => {
    sendAnyway?.();
    dismiss(notice);
  });
  notice.querySelector('[data-remark="dismiss"]')?.addEventListener("click", () => dismiss(notice));
  if (!lines.length) forget(text);
  // First the place, then the words: a live region speaks of what changes in it.
  byId("remarks").append(notice);
}

/** @param {string} text */
function listItem(text) {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}

/** Said again, it is said once. @param {string} text */
function forget(text) {
  for (const notice of [...byId("remarks").children]) {
    if (slot(notice, "text").textContent === text) notice.remove();
  }
}

/** @param {HTMLElement} notice */
function dismiss(notice) {
  notice.remove();
  byId("main").focus({ preventScroll: true });
}
