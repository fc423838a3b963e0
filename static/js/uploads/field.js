/**
 * Files of any size in a form (`uploads.forms.ResumableFileField`): every such field of the page,
 * and those that come later, in a formset or by a swap. Without this module the fields are plain
 * file inputs.
 */

import { attach, detach, revise } from "./field/field.js";

attach(document);
new MutationObserver((changes) => {
  for (const { target, addedNodes, removedNodes } of changes) {
    for (const node of removedNodes) if (node instanceof HTMLElement) detach(node);
    for (const node of addedNodes) if (node instanceof HTMLElement) attach(node);
    revise(target);
  }
}).observe(document.body, { childList: true, subtree: true, attributeFilter: ["name"] });
