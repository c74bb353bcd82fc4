// The line that says what came of a click, the service's notice, and what a screen reader is told.

import { html } from "./html.js";
import { store } from "./store.js";

export const tell = (text, isError = false) => store.update({ status: { text, isError } });

/** Does some work; its error goes to the status line. */
export async function attempt(work) {
  try {
    await work();
  } catch (error) {
    tell(error.message, true);
  }
}

export function Status({ status, notice, announcement }) {
  return html`
    <p id="status" role="status" class=${status.isError ? "error" : ""} hidden=${!status.text}>${status.text}</p>
    <div id="notice" role="alert" hidden=${!notice}>
      <span id="notice-text">${notice}</span>
      <button type="button" id="notice-close" aria-label="Dismiss this notice" onClick=${() => store.update({ notice: "" })}>✕</button>
    </div>
    <p id="announce" class="unseen-text" aria-live="polite">${announcement}</p>
  `;
}
