// Thresholds that the moderators' own answers speak for.

import { api } from "./api.js";
import { attempt } from "./status.js";
import { store } from "./store.js";

const BURST_MS = 400;

/** Asks for advice once for a burst of clicks. */
export function adviceSoon() {
  clearTimeout(store.state.adviceTimer);
  store.update({ adviceTimer: setTimeout(() => attempt(loadAdvice), BURST_MS) });
}

async function loadAdvice() {
  const { community } = store.state;
  const { advice } = await api("GET", "/api/advice");
  if (community === store.state.community) store.update({ advice });
}
