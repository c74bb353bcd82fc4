// The adapters, newest first: their figures, their reports, what each changed, and the way back.

import { api, inCommunity } from "./api.js";
import { Action } from "./controls.js";
import { Figures } from "./figures.js";
import { Clock, DAY_AND_TIME, figure } from "./format.js";
import { html } from "./html.js";
import * as sentences from "./sentences.js";
import { attempt, tell } from "./status.js";
import { may, store } from "./store.js";

const COLUMNS = ["Version", "Created", "Serving", "Macro-F1", "Balanced accuracy", "Report"];

export const loadAdapters = () =>
  attempt(async () => {
    const { community } = store.state;
    const { adapters } = await api("GET", "/api/adapters");
    if (community === store.state.community) store.update({ adapters });
  });

export function Adapters({ adapters, changes }) {
  const forAll = adapters.filter((one) => !one.community);
  const isMeasured = forAll.some((one) => typeof one.macro_f1 === "number");
  const mayRollBack = may("POST /api/adapters/rollback");
  return html`
    <details id="adapters-section" open>
      <summary>Adapters</summary>
      <div class="scroll" tabindex="0" role="region" aria-label="Table of adapters">
        <table data-testid="adapters">
          <thead><tr>${COLUMNS.map((title) => html`<th key=${title} scope="col">${title}</th>`)}</tr></thead>
          <tbody id="adapters">${adapters.map((one) => html`<${Row} key=${`${one.community}/${one.version}`} adapter=${one} />`)}</tbody>
        </table>
      </div>
      <div id="changes" data-testid="changes-list" aria-live="polite" hidden=${!changes}>${changes && html`<${Changes} ...${changes} />`}</div>
      <div id="history" data-testid="history">${isMeasured ? html`<${Figures} adapters=${forAll} />` : null}</div>
      <p class="row">
        <${Action} id="rollback" data-testid="rollback" hidden=${!mayRollBack} disabled=${forAll.length < 2} run=${() => rollBack("/api/adapters/rollback")}>
          Roll back
        <//>
      </p>
    </details>
  `;
}

function Row({ adapter }) {
  const { version, community } = adapter;
  const notes = sentences.adapterNotes(adapter);
  return html`
    <tr class=${adapter.serving ? "serving" : null}>
      <th scope="row">${version}${notes.map((note) => html`<small class="muted"> ${note}</small>`)}</th>
      <td><${Clock} iso=${adapter.created_at} options=${DAY_AND_TIME} /></td>
      <td>${adapter.serving ? "● serving" : ""}</td>
      <td class="number">${figure(adapter.macro_f1)}</td>
      <td class="number">${figure(adapter.balanced_accuracy)}</td>
      <td>
        <${Report} adapter=${adapter} />${" "}
        ${adapter.parent && !community && may("GET /api/adapters/{version}/changes")
          ? html`<${Action} data-testid="changes" aria-label=${`What changed with ${version}`} run=${() => loadChanges(adapter)}>What changed<//>`
          : null}
        ${adapter.serving && community && may("POST /api/adapters/own/rollback")
          ? html`<${Action} data-testid="rollback-own" aria-label=${`Roll back ${version} for ${adapter.name}`} run=${() => rollBack("/api/adapters/own/rollback", community)}>Roll back<//>`
          : null}
      </td>
    </tr>
  `;
}

function Report({ adapter }) {
  if (!adapter.has_report) return "–";
  const version = encodeURIComponent(adapter.version);
  const own = inCommunity(`/adapters/own/${version}/report.html`, adapter.community);
  const href = adapter.community ? own : `/adapters/${version}/report.html`;
  return html`<a href=${href} target="_blank" rel="noopener" aria-label=${`Report of ${adapter.version}`}>report</a>`;
}

/** Past messages that an adapter decides differently from the one it came from. */
function Changes({ adapter, looked_at, flips }) {
  const row = (flip) => html`<li><q>${flip.text}</q> <small>${flip.before} → ${flip.after}</small></li>`;
  return html`<p>${sentences.changes(adapter, looked_at, flips.length)}</p><ul>${flips.map(row)}</ul>`;
}

async function loadChanges(adapter) {
  const answer = await api("GET", `/api/adapters/${encodeURIComponent(adapter.version)}/changes`);
  store.update({ changes: { adapter, ...answer } });
}

/** Back to the adapter before: the one for all, or a community's own. */
async function rollBack(path, community = store.state.community) {
  const { adapter } = await api("POST", path, {}, { community });
  tell(sentences.rolledBack(adapter));
  await loadAdapters();
}
