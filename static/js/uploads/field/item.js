/** One file of a field, as a person sees it: its name, what happens, and what can be done. */

import { isFinal, needsTheFile } from "../errors.js";
import { setText } from "../page/dom.js";
import { barOf, fill, gettext, LABELS, lineFor, percent, resumeButton, size } from "../page/words.js";

/** @import { UploadPhase, UploadStatus } from "../types.d.ts" */

/** @type {UploadPhase[]} */
const CAN_PAUSE = ["waiting", "checking", "sending"];
/** @type {UploadPhase[]} */
const CAN_RESUME = ["paused", "failed", "retrying"];

let count = 0;

/**
 * @param {string} name of the file
 * @returns {HTMLElement}
 */
export function newItem(name) {
  const item = document.createElement("li");
  item.className = "resumable-item";
  // Without an id a morph would take it for an item of the server's.
  item.id = `resumable-item-${++count}`;
  const label = element("span", "resumable-name", name);
  const facts = element("span", "resumable-facts");
  const line = element("span", "resumable-line");
  const progress = document.createElement("progress");
  progress.max = 100;
  progress.setAttribute("aria-label", fill(gettext("Progress of %(name)s"), { name }));
  const buttons = element("span", "resumable-buttons");
  buttons.append(
    button("pause", gettext("Pause"), name),
    button("resume", gettext("Resume"), name),
    button("remove", gettext("Remove"), name),
  );
  item.append(label, facts, progress, line, buttons);
  return item;
}

/**
 * What arrived before: the server has shown it, and its id is in the form.
 *
 * @param {Element} item
 */
export function adoptItem(item) {
  if (item.querySelector("[data-action]")) return;
  const name = item.querySelector(".resumable-name")?.textContent ?? "";
  item.querySelector(".resumable-buttons")?.append(button("remove", gettext("Remove"), name));
}

/**
 * @param {HTMLElement} item
 * @param {UploadStatus} status
 */
export function drawItem(item, status) {
  const { phase } = status;
  item.dataset.phase = phase;
  setText(part(item, ".resumable-facts"), facts(status));
  setText(part(item, ".resumable-line"), phase === "done" ? "" : lineFor(status));
  const progress = item.querySelector("progress");
  if (progress) {
    progress.hidden = phase === "done";
    progress.value = percent(barOf(status), status.total);
  }
  const resume = CAN_RESUME.includes(phase) && !isFinal(status.error);
  show(item, { pause: CAN_PAUSE.includes(phase), resume });
  const label = item.querySelector("[data-action=resume] span");
  const again = phase === "failed" && needsTheFile(status.error);
  if (label) setText(label, again ? gettext("Choose it again") : resumeButton(phase));
}

/**
 * What the button does that was pressed; empty for anything else.
 *
 * @param {Event} event
 */
export function pressed({ target }) {
  const found = target instanceof Element ? target.closest("button[data-action]") : null;
  return found instanceof HTMLButtonElement ? (found.dataset.action ?? "") : "";
}

/** @param {UploadStatus} status */
function facts({ phase, total, sent, existed }) {
  if (phase === "done") {
    return `${existed ? gettext("Already here") : gettext("Complete and verified")} · ${size(total)}`;
  }
  const part = fill(gettext("%(part)s of %(whole)s"), { part: size(sent), whole: size(total) });
  return `${LABELS[phase]} · ${part} · ${fill(gettext("%(percent)s %"), { percent: percent(sent, total) })}`;
}

/**
 * @param {HTMLElement} item
 * @param {string} selector
 */
function part(item, selector) {
  const found = item.querySelector(selector);
  if (!found) throw new Error(`an item without ${selector}`);
  return found;
}

/**
 * A focus on a button that goes moves to the one that is there instead.
 *
 * @param {HTMLElement} item
 * @param {Record<string, boolean>} actions whether each is shown
 */
function show(item, actions) {
  const focused = item.contains(document.activeElement) ? document.activeElement : null;
  for (const [action, shown] of Object.entries(actions)) {
    const found = item.querySelector(`[data-action=${action}]`);
    if (found instanceof HTMLElement) found.hidden = !shown;
  }
  if (!(focused instanceof HTMLElement) || !focused.hidden) return;
  item.querySelector(/** @type {"button"} */ ("button:not([hidden])"))?.focus();
}

/**
 * @param {string} tag
 * @param {string} className
 * @param {string} [text]
 */
function element(tag, className, text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

/**
 * @param {string} action
 * @param {string} text
 * @param {string} name of the file, which those hear who cannot see beside what it stands
 */
function button(action, text, name) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "resumable-button";
  made.dataset.action = action;
  made.append(element("span", "", text), " ", element("span", "resumable-unseen", name));
  return made;
}
