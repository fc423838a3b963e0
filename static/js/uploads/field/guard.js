/**
 * A form is not sent while a file that was chosen in it is unfinished: its buttons say so, and who
 * presses one, or Enter, learns why.
 */

import { describe } from "./voice.js";

/** @import { Field } from "./field.js" */

const BUTTONS = "button:not([type=button], [type=reset]), input[type=submit]";

/** Buttons that htmx sends a form by when they are pressed: no `submit` comes of it. */
const SENT_BY_HTMX = ["post", "put", "patch"].map((verb) => `[hx-${verb}], [data-hx-${verb}]`).join(", ");

/** The page may have reasons of its own why a button is disabled: those marked so are ours. */
const OURS = "data-resumable-waits";

/** Those of the page, in the order in which they came. @type {Set<Field>} */
const guarded = new Set();

/** @param {Field} field */
export function guard(field) {
  if (!listening) listen();
  guarded.add(field);
}

/**
 * Not the attribute `disabled`: a button that cannot be pressed cannot say why.
 *
 * @param {HTMLFormElement | null} form
 */
export function showInButtons(form) {
  if (!form) return;
  const unfinished = unfinishedOf(form);
  for (const button of form.elements) {
    if (!button.matches(BUTTONS) || isFree(button)) continue;
    if (unfinished) hold(button, unfinished.reasonId);
    else release(button);
  }
}

let listening = false;

function listen() {
  listening = true;
  // Before whoever else listens: what is refused must not be half sent.
  window.addEventListener("submit", refuse, { capture: true });
  window.addEventListener("click", refuseClick, { capture: true });
  window.addEventListener("reset", reset);
  window.addEventListener("beforeunload", (event) => {
    if (present().some((field) => field.busy)) event.preventDefault();
  });
}

/** @param {SubmitEvent} event */
function refuse(event) {
  const { target, submitter } = event;
  if (!(target instanceof HTMLFormElement) || isFree(submitter)) return;
  turnAway(event, target);
}

/** @param {Event} event */
function refuseClick(event) {
  const { target } = event;
  const button = target instanceof Element ? target.closest(BUTTONS) : null;
  if (!(button instanceof HTMLButtonElement || button instanceof HTMLInputElement)) return;
  if (button.form && button.matches(SENT_BY_HTMX) && !isFree(button)) turnAway(event, button.form);
}

/**
 * @param {Event} event
 * @param {HTMLFormElement} form
 */
function turnAway(event, form) {
  const unfinished = unfinishedOf(form);
  if (!unfinished) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  unfinished.refuse();
}

/** @param {Event} event */
function reset({ target, defaultPrevented }) {
  if (defaultPrevented) return;
  for (const field of present()) if (field.form === target) field.clear();
}

/**
 * HTML's own word for a button that sends the form whatever it holds: one that goes back, perhaps.
 *
 * @param {Element | null} button
 */
function isFree(button) {
  return button?.hasAttribute("formnovalidate") ?? false;
}

/** @param {HTMLFormElement} form */
function unfinishedOf(form) {
  return present().find((field) => field.form === form && field.obstacle);
}

/** Forms of a formset come and go; those that come back are guarded anew. */
function present() {
  for (const field of guarded) if (!field.box.isConnected) guarded.delete(field);
  return [...guarded];
}

/**
 * @param {Element} button
 * @param {string} reasonId
 */
function hold(button, reasonId) {
  if (button.hasAttribute(OURS) || button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute(OURS, reasonId);
  button.setAttribute("aria-disabled", "true");
  describe(button, reasonId, true);
}

/** @param {Element} button */
function release(button) {
  const reasonId = button.getAttribute(OURS);
  if (reasonId === null) return;
  button.removeAttribute(OURS);
  button.removeAttribute("aria-disabled");
  describe(button, reasonId, false);
}
