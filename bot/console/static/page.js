// The page as a whole: two sides, one of which a phone shows at a time.

import { Account } from "./account.js";
import { Chat } from "./chat.js";
import { Desk } from "./desk.js";
import { html } from "./html.js";
import { Status } from "./status.js";
import { store } from "./store.js";

export function Page({ state }) {
  if (!state.isLoaded) return html`<${Status} ...${state} />`;
  return html`
    <div class="page" data-tab=${state.tab} data-no-chat=${!state.room || null}>
      <${Tabs} ...${state} />
      <${Account} ...${state} />
      <${Status} ...${state} />
      <main>
        ${state.room ? html`<${Chat} key=${state.community} ...${state} />` : null}
        <${Desk} state=${state} />
      </main>
    </div>
  `;
}

function Tabs({ tab, unseen }) {
  const show = (name) => store.update({ tab: name, unseen: name === "desk" ? 0 : unseen });
  const choice = (name, text) => html`
    <button type="button" data-tab=${name} aria-pressed=${String(tab === name)} onClick=${() => show(name)}>${text}</button>
  `;
  const count = html`Moderators <span id="unseen" class="count" hidden=${!unseen}>${unseen} new</span>`;
  return html`<nav class="tabs" aria-label="Side">${choice("chat", "Chat")} ${choice("desk", count)}</nav>`;
}
