// Where the bot is, what it lacks there, and what a card looks like to moderators.

import { html } from "./html.js";
import { Preview } from "./preview.js";
import * as sentences from "./sentences.js";

export function Servers({ platforms, facts, previewLanguage, previewedCard }) {
  return html`
    <details id="servers" open>
      <summary>Servers</summary>
      <div id="platforms" data-testid="platforms">
        ${platforms.length
          ? platforms.map((one) => html`<${Platform} key=${one.platform} platform=${one} />`)
          : html`<p class="muted">${facts.no_platforms}</p>`}
      </div>
      <${Preview} languages=${facts.languages} language=${previewLanguage} card=${previewedCard} />
    </details>
  `;
}

/** Why a platform is silent, the link that adds the bot, and each place with what is missing there. */
function Platform({ platform }) {
  const { title, trouble, faults, invite, places } = platform;
  return html`
    <section data-testid="platform" class="platform">
      <h3>${title}</h3>
      ${trouble ? html`<p class="result warn">${trouble}</p>` : null}
      ${faults.length ? html`<ul class="result warn">${faults.map((fault) => html`<li data-testid="fault">${fault}</li>`)}</ul>` : null}
      ${invite
        ? html`<p><a href=${invite} target="_blank" rel="noopener noreferrer" data-testid="invite">${sentences.addTheBot(title)}</a></p>`
        : null}
      <ul class="places">
        ${places.map((place) => html`<${Place} key=${place.community} place=${place} />`)}
        ${places.length || trouble ? null : html`<li class="muted">${sentences.NO_PLACES}</li>`}
      </ul>
    </section>
  `;
}

function Place({ place }) {
  return html`
    <li data-testid="place">
      <b>${place.name}</b> <span class="badge" data-mode=${place.mode}>${place.mode}</span>
      ${place.has_cards ? null : html`<p class="muted">${sentences.NO_CARDS_THERE}</p>`}
      ${place.problems.length ? html`<ul>${place.problems.map((problem) => html`<li>${problem}</li>`)}</ul>` : null}
    </li>
  `;
}
