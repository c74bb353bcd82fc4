// Whether the bot acts here, and the buttons that change it.

import { api } from "./api.js";
import { Action } from "./controls.js";
import { html } from "./html.js";
import * as sentences from "./sentences.js";
import { may, store } from "./store.js";

export function Mode({ policy, isPaused, facts }) {
  const mode = facts.modes.find((one) => one.name === policy.mode);
  const other = facts.modes.find((one) => one.acts !== mode.acts);
  const hasStopped = mode.acts && isPaused;
  return html`
    <span class="badge" data-testid="mode" id="mode" data-mode=${mode.name}>${hasStopped ? sentences.paused(mode.name) : mode.name}</span>
    <${Action} id="mode-switch" data-testid="mode-switch" hidden=${!may("PUT /api/policy")} run=${() => switchMode(other.name)}>
      ${sentences.switchTo(other.name)}
    <//>
    <${Action} id="resume" data-testid="resume" class="primary" hidden=${!hasStopped || !may("POST /api/resume")} run=${() => api("POST", "/api/resume")}>Go on acting<//>
  `;
}

async function switchMode(mode) {
  const { policy } = await api("PUT", "/api/policy", { ...store.state.policy, mode });
  store.update({ policy });
}
