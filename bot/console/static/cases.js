// The cases on show, and what a moderator does with one.

import { api } from "./api.js";
import { newCard } from "./sentences.js";
import { attempt, tell } from "./status.js";
import { store } from "./store.js";

/** Shows a new case on top, or another state of one that is there. */
export function putCase(item) {
  const { cases, extraCards, tab, unseen } = store.state;
  if (cases.some((one) => one.id === item.id)) {
    store.update({ cases: cases.map((one) => (one.id === item.id ? item : one)) });
    return;
  }
  store.update({
    cases: [item, ...cases],
    extraCards: extraCards + 1,
    announcement: newCard(item),
    unseen: tab === "desk" ? 0 : unseen + 1,
  });
}

/** Opens or closes parts of a card. */
function unfold(id, change) {
  const { unfolded } = store.state;
  store.update({ unfolded: { ...unfolded, [id]: { ...unfolded[id], ...change } } });
}

export const toggleChoices = (id) => unfold(id, { choosing: !store.state.unfolded[id]?.choosing });

/** `verb` is "confirm", "correct" or "undo". */
export async function answerCase(id, verb, body) {
  const { case: item, text } = await api("POST", `/api/cases/${id}/${verb}`, body);
  unfold(id, { choosing: false });
  putCase(item);
  tell(text);
}

/** Opens the explanation of a case, or closes it. */
export async function toggleExplanation(id) {
  const explaining = !store.state.unfolded[id]?.explaining;
  unfold(id, { explaining });
  if (!explaining) return;
  await attempt(async () => {
    try {
      unfold(id, { explanation: await api("GET", `/api/cases/${id}/explain`) });
    } catch (error) {
      unfold(id, { explaining: false });
      throw error;
    }
  });
}
