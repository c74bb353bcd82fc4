// Calls to the service: JSON in, JSON out, in the community on show.

import * as sentences from "./sentences.js";
import { store } from "./store.js";

const OUTDATED = "outdated"; // OUTDATED_CODE in guard.py
export const SIGN_IN = "/sign-in";

/** The address of something that belongs to the community on show. */
export function inCommunity(path, community = store.state.community) {
  if (!community) return path;
  return `${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams({ community })}`;
}

/**
 * Answers with data, or raises an error with the service's sentence. Renews an outdated token once;
 * sends a person who is signed out to the sign-in.
 */
export async function api(method, path, body = {}, { community, isRenewed = false } = {}) {
  let response;
  try {
    response = await fetch(inCommunity(path, community), request(method, body));
  } catch {
    throw new Error(sentences.NO_ANSWER);
  }
  const data = await response.json().catch(() => ({}));
  if (response.status === 401) location.assign(SIGN_IN);
  if (response.status === 403 && data.code === OUTDATED && !isRenewed) {
    store.update({ csrf: (await api("GET", "/api/state")).csrf });
    return api(method, path, body, { community, isRenewed: true });
  }
  if (!response.ok) throw new Error(data.error || sentences.answeredWith(response.status));
  return data;
}

function request(method, body) {
  if (method === "GET") return { method };
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": store.state.csrf };
  return { method, headers, body: JSON.stringify(body) };
}
