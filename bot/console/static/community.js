// The state of the community on show, as the service has it.

import { loadAdapters } from "./adapters.js";
import { adviceSoon } from "./advice.js";
import { api } from "./api.js";
import { store } from "./store.js";

export const communityName = ({ person, community }) =>
  person.communities.find((one) => one.community === community)?.name ?? community;

/** Loads everything; leaves the page alone once `isCurrent` says that it shows another community. */
export async function load(isCurrent) {
  const state = await api("GET", "/api/state");
  if (!isCurrent()) return;
  store.update({ csrf: state.csrf, community: state.community });
  const person = await api("GET", "/api/me");
  if (!isCurrent()) return;
  const { speaker, tab, notice, previewLanguage } = store.state;
  store.update({
    isLoaded: true,
    person,
    facts: state.facts,
    previewLanguage: previewLanguage || state.facts.languages[0],
    may: new Set(state.may),
    room: state.room,
    tab: state.room ? tab : "desk",
    people: state.people,
    speaker: state.people.some((one) => one.id === speaker) ? speaker : (state.people[0]?.id ?? ""),
    messages: state.messages,
    cases: [...state.cases].sort((a, b) => b.id - a.id),
    policy: state.policy,
    isPaused: state.paused,
    hasOwnCategories: state.own_categories,
    notice: state.notice || notice,
    platforms: state.platforms,
    refresh: state.refresh,
    audit: state.audit,
    ...served(state),
  });
  adviceSoon();
  await loadAdapters();
}

const served = (state) => ({ adapter: state.adapter, norm: state.norm, stages: state.two_stages });

/** Another adapter serves somewhere; which one serves here, and by which norm, differs between communities. */
export async function followAdapter() {
  const state = await api("GET", "/api/state").catch(() => null);
  if (!state) return;
  store.update(served(state));
  await loadAdapters();
}

/** The figures of two stages change with every message. */
export async function followFigures() {
  if (!store.state.stages) return;
  const state = await api("GET", "/api/state").catch(() => null);
  if (state) store.update({ stages: state.two_stages });
}

/** Servers come and go. */
export async function followPlatforms() {
  const answer = await api("GET", "/api/platforms").catch(() => null);
  if (answer?.platforms.length) store.update({ platforms: answer.platforms });
}
