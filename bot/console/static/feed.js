// The service's stream of events for the community on show.

import { loadAdapters } from "./adapters.js";
import { adviceSoon } from "./advice.js";
import { api, inCommunity } from "./api.js";
import { putCase } from "./cases.js";
import { putMessage } from "./chat.js";
import { followAdapter, load } from "./community.js";
import * as sentences from "./sentences.js";
import { tell } from "./status.js";
import { forgetCommunity, store } from "./store.js";

const TRY_AGAIN_MS = 3000;

function apply(event) {
  switch (event.type) {
    case "message":
      return putMessage(event.message);
    case "case":
      if (event.case.state !== "open") adviceSoon();
      return putCase(event.case);
    case "policy":
      return store.update({ policy: event.policy });
    case "paused":
      return store.update({ isPaused: event.paused });
    case "refresh":
      return putRefresh(event.refresh);
    case "adapter":
      return followAdapter();
    case "notice":
      return store.update({ notice: event.text });
  }
}

/** A refresh that has ended may have made an adapter. */
function putRefresh(refresh) {
  const hasEnded = store.state.refresh?.running && !refresh.running;
  store.update({ refresh });
  if (hasEnded) loadAdapters();
}

/** Opens the stream. Each connection loads the whole state, until it succeeds; events that arrive meanwhile wait. */
export function follow() {
  store.state.stream?.close();
  const source = new EventSource(inCommunity("/api/events"));
  store.update({ stream: source });
  const isCurrent = () => source === store.state.stream;
  let waiting = [];
  let isLost = false;
  source.onopen = async () => {
    if (!isCurrent()) return;
    waiting ??= [];
    try {
      await load(isCurrent);
    } catch (error) {
      if (isCurrent()) tell(error.message, true);
      isLost = true;
      setTimeout(source.onopen, TRY_AGAIN_MS);
      return;
    }
    if (!isCurrent()) return;
    if (isLost) tell("");
    isLost = false;
    const late = waiting ?? [];
    waiting = null;
    late.forEach(apply);
  };
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (waiting) waiting.push(event);
    else apply(event);
  };
  source.onerror = () => {
    if (!isCurrent()) return;
    isLost = true;
    tell(sentences.CONNECTION_LOST, true);
    // The browser gives up by itself where the service refuses the stream.
    if (source.readyState === EventSource.CLOSED) setTimeout(askAgain, TRY_AGAIN_MS, isCurrent);
  };
}

/** Asks why the service refused the stream; a person who is signed out is sent to the sign-in. */
async function askAgain(isCurrent) {
  if (!isCurrent()) return;
  try {
    const { communities } = await api("GET", "/api/me");
    if (!communities.length) throw new Error(sentences.NO_COMMUNITY);
    if (!communities.some((one) => one.community === store.state.community)) store.update({ community: "" });
    follow();
  } catch (error) {
    tell(error.message, true);
    setTimeout(askAgain, TRY_AGAIN_MS, isCurrent);
  }
}

/** Shows another community. */
export function switchTo(community) {
  history.replaceState(null, "", `?${new URLSearchParams({ community })}`);
  forgetCommunity();
  store.update({ community });
  follow();
}
