// What the model learns here: the refresh, the community's norm, and the audit of messages nobody was shown.

import { api } from "./api.js";
import { Action } from "./controls.js";
import { percent } from "./format.js";
import { html } from "./html.js";
import * as sentences from "./sentences.js";
import { tell } from "./status.js";
import { may, store } from "./store.js";

export function Learning({ refresh, norm, audit, facts }) {
  const isRunning = !!refresh?.running;
  return html`
    <details id="learning" open>
      <summary>Learning</summary>
      <p class="muted">${sentences.REFRESH}</p>
      <p id="norm" class="result" data-testid="norm" hidden=${!norm}>${norm && sentences.norm(norm)}</p>
      <p class="row">
        <${Action} id="refresh" data-testid="refresh" hidden=${!may("POST /api/refresh")} disabled=${isRunning} run=${() => api("POST", "/api/refresh")}>
          Refresh now
        <//>
      </p>
      <div id="refresh-live" hidden=${!isRunning}>
        <label for="refresh-progress" id="refresh-stage">${isRunning ? `${refresh.stage} (${percent(refresh.share)})` : ""}</label>
        <progress id="refresh-progress" data-testid="refresh-progress" max="1" value=${refresh?.share ?? 0}></progress>
      </div>
      <p id="refresh-result" class="result" data-testid="refresh-result" aria-live="polite" hidden=${!refresh?.result}>${refresh?.result}</p>
      <p class="muted">${sentences.AUDIT}</p>
      <p class="row">
        <${Action} id="audit" data-testid="audit" hidden=${!may("POST /api/audit")} run=${lookAtRandom}>
          ${sentences.lookAt(facts.audit.cards)}
        <//>
        <span id="audited" data-testid="audited" class="muted" role="status">${sentences.audited(audit, facts)}</span>
      </p>
    </details>
  `;
}

async function lookAtRandom() {
  const { audit, text } = await api("POST", "/api/audit");
  store.update({ audit });
  tell(text);
}
