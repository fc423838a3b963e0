/** Small hands for the page: finding elements, and what the templates promise to have. */

/** @import { SessionToResume } from "../types.d.ts" */

/** @param {string} id */
export function byId(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`#${id} is missing`);
  return element;
}

/**
 * @param {ParentNode} place
 * @param {string} name
 */
export function slot(place, name) {
  const element = place.querySelector(`[data-slot="${name}"]`);
  if (!(element instanceof HTMLElement)) throw new Error(`no slot ${name}`);
  return element;
}

/**
 * Writes only what differs: an assignment alone would wake screen readers and the layout.
 *
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * @param {HTMLElement} element
 * @param {string} name
 * @param {string | undefined} value
 */
export function setOrDelete(element, name, value) {
  if (element.dataset[name] === value) return;
  if (value === undefined) delete element.dataset[name];
  else element.dataset[name] = value;
}

/**
 * The first element of a template, anew.
 *
 * @param {string} id
 */
export function copyOf(id) {
  const template = byId(id);
  if (!(template instanceof HTMLTemplateElement)) throw new Error(`#${id} is no template`);
  const copy = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
  return /** @type {HTMLElement} */ (copy.firstElementChild);
}

/**
 * The row of a session in the list, or the page about it.
 *
 * @param {string | null | undefined} id of a session
 */
export function rowOf(id) {
  return id ? document.getElementById(`upload-${id}`) : null;
}

/**
 * @param {HTMLElement} place
 * @returns {SessionToResume | null}
 */
export function sessionOf({ dataset }) {
  return dataset.session ? JSON.parse(dataset.session) : null;
}

/** What is to be announced next. @type {string[]} */
let words = [];

/**
 * To those who cannot see the page, when they have heard what is being read to them. What is said
 * at one time is said together: each alone would silence the one before.
 *
 * @param {string} text
 */
export function announce(text) {
  if (words.push(text) > 1) return;
  queueMicrotask(() => {
    const place = byId("announcer");
    // The same words again are no change, and would not be read.
    place.textContent = "";
    place.textContent = words.join("; ");
    words = [];
  });
}

/**
 * The cookie first: signing in again, in another tab, changes the token.
 *
 * @param {DOMStringMap} dataset of the body
 */
export function csrfToken({ csrfCookie, csrfToken }) {
  const start = `${csrfCookie}=`;
  const cookie = document.cookie.split("; ").find((pair) => pair.startsWith(start));
  return cookie?.slice(start.length) ?? csrfToken ?? "";
}

/** Ends the question before, should its answer be on its way still. */
let putAway = () => {};

/**
 * Resolves to whether the person said yes.
 *
 * @param {{ title: string, name: string, text: string, yes: string }} question
 * @returns {Promise<boolean>}
 */
export function confirmed(question) {
  const dialog = byId("confirm");
  if (!(dialog instanceof HTMLDialogElement)) throw new Error("#confirm is no dialog");
  putAway();
  for (const [part, text] of Object.entries(question)) byId(`confirm-${part}`).textContent = text;
  // Escape would otherwise leave the answer of the last time.
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    const closed = () => {
      // The event comes later than the closing; somebody quick has been asked again by then.
      if (dialog.open) return;
      // What was focused before may have gone meanwhile.
      if (document.activeElement === document.body) byId("main").focus({ preventScroll: true });
      answer(dialog.returnValue === "yes");
    };
    const answer = (/** @type {boolean} */ yes) => {
      dialog.removeEventListener("close", closed);
      resolve(yes);
    };
    putAway = () => answer(false);
    dialog.addEventListener("close", closed);
  });
}
