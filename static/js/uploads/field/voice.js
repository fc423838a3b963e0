/** What those hear who cannot see the field, and what its parts are described by. */

/** What is said at one time is said together: each alone would silence the one before. */
export class Voice {
  #place;
  /** @type {string[]} */
  #words = [];

  /** @param {() => Element} place a live region; asked for each time, since pages change */
  constructor(place) {
    this.#place = place;
  }

  /** @param {string} text */
  say(text) {
    if (!text || this.#words.push(text) > 1) return;
    queueMicrotask(() => {
      const place = this.#place();
      // The same words again are no change, and would not be read.
      place.textContent = "";
      place.textContent = this.#words.join("; ");
      this.#words = [];
    });
  }
}

/**
 * Beside what describes it already.
 *
 * @param {Element} element
 * @param {string} id of what describes it
 * @param {boolean} describes
 */
export function describe(element, id, describes) {
  const others = (element.getAttribute("aria-describedby") ?? "").split(/\s+/).filter((each) => each && each !== id);
  const ids = describes ? [...others, id] : others;
  if (ids.length) element.setAttribute("aria-describedby", ids.join(" "));
  else element.removeAttribute("aria-describedby");
}
