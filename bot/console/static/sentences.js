// Sentences that only the page says, in English. What the service knows, it says itself.

import { percent } from "./format.js";

// ---- the connection
export const NO_ANSWER = "Domovoi does not answer; is it running?";
export const CONNECTION_LOST = "Connection lost; trying again …";
export const NO_COMMUNITY =
  "You moderate no community that this bot is in; its owner can give you the rights there.";
export const answeredWith = (status) => `The server answered ${status}.`;

// ---- the chat
export const MESSAGE_STATES = { removed: "removed by Domovoi", restored: "restored by a moderator" };

// ---- the cards
export const NO_CARDS = "No cards yet. When a message crosses a threshold, its card appears here.";
export const NOT_SHOWN = "Nobody was shown this message.";
export const WHICH_LABEL = "The right label is";
export const EXPLAINING = "Looking for the evidence …";
export const NONE_YET = "None yet.";
export const PART_DECIDED = "This part decided:";
export const newCard = (item) => `New card: ${item.title}, from ${item.author}. ${done(item)}`;
export const done = (item) => (item.is_audit ? NOT_SHOWN : item.done);
export const wordsFor = (label) => `Words that speak for or against “${label}”`;
export const alike = (share) => `${percent(share)} alike`;

export function band(item) {
  if (item.is_audit) return "harm in all: a random look at what was left alone";
  return `${item.band} band, from ${percent(item.threshold, 1)}`;
}

/** What a moderator did with a case; "" while it is open. `person` is who reads this. */
export function answer(item, person) {
  const who = item.by === person.key ? person.name : item.by || "A moderator";
  const sentence = {
    confirmed: `${who} confirmed: ${item.label}`,
    corrected: `${who} corrected: ${item.label} → ${item.corrected_label}`,
    undone: `${who} undid the action`,
  }[item.state];
  if (!sentence) return "";
  if (item.teaches === true) return `${sentence} · the next refresh learns from it`;
  return item.teaches === false ? `${sentence} · does not teach` : sentence;
}

// ---- the policy
export const NOT_SAVED = "not saved yet";
export const SAVED = "saved";
export const FOR_GOOD = "for good";
export const NEVER = "never";
export const POLICY_NUMBERS = {
  alert_at: "Alert at",
  act_at: "Act at",
  timeout_minutes: "Timeout, minutes",
  ban_hours: "Ban, hours",
  timeout_at: "Timeout at",
  ban_at: "Ban at",
  expire_days: "Strikes expire, days",
  max_actions_per_hour: "Members acted on per hour, at most",
  names_alert_at: "Names and titles: alert at",
};
export const CATEGORIES = "One a line: name | what it means | shown to moderators from (empty: never)";
export const CATEGORIES_EXAMPLE = "advertising | unsolicited offers | 0.6\nchat | ordinary talk |";
export const useAdvice = (advice) => `Use ${advice.alert_at.toFixed(2)} for ${advice.label}`;
export const switchTo = (mode) => `Switch to ${mode}`;
export const paused = (mode) => `${mode}, paused`;

// ---- learning
export const REFRESH =
  "A refresh trains a new adapter on the corrections of the communities that the operator trusts, and serves it " +
  "only if it passes the gate. What others say teaches what serves themselves.";
export const AUDIT =
  "What is missed shows only in messages nobody was shown: look at some at random, and say what they are.";
export const lookAt = (cards) => `Look at ${cards} random messages`;

export function norm({ sentence, words, moderators }) {
  const plural = moderators === 1 ? "" : "s";
  return `Learned here: ${sentence}, from ${words} corrections of ${moderators} moderator${plural}. Roll back to take it back.`;
}

/** How many random messages were looked at, and how many of each harmful label there were. */
export function audited(counts, { labels, harmful, audit }) {
  const all = labels.reduce((sum, label) => sum + (counts[label] ?? 0), 0);
  if (!all) return "";
  const parts = harmful.map((label) => `${counts[label] ?? 0} ${label}`).join(", ");
  const more = all < audit.needed ? `; from ${audit.needed} on, a refresh is also judged by your daily mix` : "";
  return `${all} looked at so far: ${parts}${more}`;
}

/** What the first of two models saved, and what that lost as far as the audit can tell. */
export function stages({ saved, audited, audited_harmful, recall_lost, recall_lost_at_most }) {
  const lost =
    recall_lost === null
      ? "nothing was audited yet"
      : `of ${audited} audited ones ${audited_harmful} were harmful: about ${percent(recall_lost, 1)} of all harmful ` +
        `messages are missed, at most ${percent(recall_lost_at_most, 1)}`;
  return `First stage: ${percent(saved)} of the messages were confidently neutral and not read further; ${lost}.`;
}

// ---- the adapters
export const rolledBack = (adapter) => `Rolled back to ${adapter}.`;
export const changes = (adapter, looked_at, count) =>
  `Of the last ${looked_at} different messages, ${adapter.version} decides ${count} differently from the adapter it came from.`;
export const figures = (count) => `Figures of ${count} adapters on held-out texts`;

/** What stands beside the version of an adapter: whose it is, and examples that it should not have learned from. */
export function adapterNotes({ community, name, taken_back, untrusted }) {
  const notes = [];
  if (community) notes.push(`for ${name} alone`);
  if (taken_back) notes.push(`learned from ${taken_back} examples that were taken back since; the next refresh starts before them`);
  if (untrusted) notes.push(`learned from ${untrusted} examples of communities that are not trusted; the next refresh starts before them`);
  return notes;
}

// ---- the servers
export const NO_CARDS_THERE = "Cards go nowhere yet: somebody must run /setup there.";
export const NO_PLACES = "The bot is on no server yet.";
export const NO_CARD_TO_PREVIEW = "No card yet: write something rude in the chat first.";
export const addTheBot = (title) => `Add the bot to a community on ${title}`;
