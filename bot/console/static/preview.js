// The newest card as moderators see it on a platform.

import { api } from "./api.js";
import { Action } from "./controls.js";
import { language as nameOf } from "./format.js";
import { html } from "./html.js";
import { NO_CARD_TO_PREVIEW } from "./sentences.js";
import { store } from "./store.js";

/** `card` is undefined while none was asked for, null where there is none. */
export function Preview({ languages, language, card }) {
  return html`
    <p class="row">
      <label>What moderators see there${" "}
        <select id="card-language" data-testid="card-language" value=${language} onChange=${choose}>
          ${languages.map((one) => html`<option key=${one} value=${one}>in ${nameOf(one)}</option>`)}
        </select>
      </label>
      <${Action} id="card-preview" data-testid="card-preview" run=${loadCard}>Show the newest card<//>
    </p>
    <figure id="previewed" data-testid="previewed" class="chat-preview" hidden=${card === undefined}>
      ${card ? html`<${PlatformCard} card=${card} />` : html`<p class="muted">${NO_CARD_TO_PREVIEW}</p>`}
    </figure>
  `;
}

const choose = (event) => store.update({ previewLanguage: event.target.value });

async function loadCard() {
  const { card } = await api("GET", `/api/card?${new URLSearchParams({ language: store.state.previewLanguage })}`);
  store.update({ previewedCard: card });
}

function PlatformCard({ card }) {
  return html`
    <p class="small muted">DOMOVOI</p>
    <article class=${`as-on-discord ${card.label}`} lang=${card.language}>
      <h4>${card.title}</h4>
      <pre>${card.text}</pre>
      <dl>${card.fields.map(([name, lines]) => html`<dt>${name}</dt>${lines.map((line) => html`<dd>${line}</dd>`)}`)}</dl>
      <p class="small">${card.footer}</p>
    </article>
    <div class="row">${card.buttons.map(([verb, text]) => html`<span class=${`chat-button ${verb}`}>${text}</span>`)}</div>
  `;
}
