// The moderators' side: the mode, the cards, and what can be set and looked up below them.

import { Adapters } from "./adapters.js";
import { CardList } from "./card-list.js";
import { communityName } from "./community.js";
import { html } from "./html.js";
import { Learning } from "./learning.js";
import { Mode } from "./mode.js";
import { PolicyForm } from "./policy-form.js";
import * as sentences from "./sentences.js";
import { Servers } from "./servers.js";

const JUMPS = [
  ["policy", "Policy"],
  ["learning", "Learning"],
  ["adapters-section", "Adapters"],
  ["servers", "Servers"],
];

export function Desk({ state }) {
  return html`
    <section id="desk" class="side" aria-labelledby="desk-title">
      <header class="bar">
        <h2 id="desk-title">${state.room ? "Moderators" : communityName(state)}</h2>
        <${Mode} ...${state} />
        <span class="muted adapter-line">adapter <code data-testid="adapter-version" id="adapter-version">${state.adapter}</code></span>
      </header>
      <div id="desk-body">
        <p class="jump">${JUMPS.map(([id, title]) => html`<a key=${id} href=${`#${id}`} onClick=${() => unfold(id)}>${title}</a>`)}</p>
        <p id="two-stages" data-testid="two-stages" class="muted" hidden=${!state.stages}>${state.stages && sentences.stages(state.stages)}</p>
        <${CardList} ...${state} />
        <${PolicyForm} ...${state} />
        <${Learning} ...${state} />
        <${Adapters} ...${state} />
        <${Servers} ...${state} />
      </div>
    </section>
  `;
}

const unfold = (id) => {
  document.getElementById(id).open = true;
};
