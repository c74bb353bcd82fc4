// Who is signed in, the communities that they may look at, and the ways out.

import { api, SIGN_IN } from "./api.js";
import { Action } from "./controls.js";
import { switchTo } from "./feed.js";
import { html } from "./html.js";

export function Account({ person, community }) {
  return html`
    <header class="who-bar">
      <label id="switcher" hidden=${person.communities.length < 2}>Community${" "}
        <select id="switch" data-testid="community-switch" value=${community} onChange=${(event) => switchTo(event.target.value)}>
          ${person.communities.map((one) => html`<option key=${one.community} value=${one.community}>${one.name}</option>`)}
        </select>
      </label>
      <details id="account">
        <summary data-testid="who"><span id="who">${person.name}</span></summary>
        <p class="row">
          <${Action} id="sign-out-this" data-testid="sign-out" run=${() => signOut("this")}>Sign out<//>
          <${Action} id="sign-out-mine" run=${() => signOut("mine")}>Sign out everywhere<//>
          <${Action} id="sign-out-everybody" hidden=${!person.is_operator} run=${() => signOut("everybody")}>Sign everybody out<//>
        </p>
      </details>
    </header>
  `;
}

async function signOut(whose) {
  await api("POST", "/api/sign-out", { whose });
  location.assign(SIGN_IN);
}
