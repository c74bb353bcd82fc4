// The policy and its draft in the form: typing, saving, trying out.

import { adviceSoon } from "./advice.js";
import { api } from "./api.js";
import { fieldsOf, policyFrom } from "./policy-fields.js";
import * as sentences from "./sentences.js";
import { store } from "./store.js";

/** The form's fields: as typed, or else as saved. */
export const currentFields = ({ draft, policy, facts }) => draft ?? fieldsOf(policy, facts);

/** Changes fields of the form; the figures stay there until they are saved, whatever others save meanwhile. */
export function edit(change) {
  store.update({ draft: { ...currentFields(store.state), ...change }, policyNote: sentences.NOT_SAVED });
}

function drafted() {
  const { policy, facts } = store.state;
  return policyFrom(policy, currentFields(store.state), facts);
}

export async function savePolicy() {
  const { policy } = await api("PUT", "/api/policy", drafted());
  store.update({ policy, draft: null, policyNote: sentences.SAVED });
  adviceSoon();
}

/** Asks what the drafted policy would have done to past messages. */
export async function previewPolicy() {
  const { sentence } = await api("POST", "/api/policy/preview", drafted());
  store.update({ previewSentence: sentence });
}
