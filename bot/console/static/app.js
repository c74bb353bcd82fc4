// The try-out chat and the moderators' side of one community at a time. Text that people wrote reaches the page through textContent only.

import { drawHistory } from "./plot.js";
import { drawCard, drawPlatforms } from "./servers.js";

const LABELS = ["hate", "offensive", "neutral"];
const HARMFUL = ["hate", "offensive"];
const ACTIONS = ["delete", "warn", "timeout", "kick", "ban"];
const LIMITS = ["max_actions_per_hour", "names_alert_at"];
const LABEL_NUMBERS = ["alert_at", "act_at", "timeout_minutes", "ban_hours"];
const EXEMPT = ["exempt_roles", "exempt_rooms"];
const CARDS_PER_PAGE = 20;
const OUTDATED = "the page is outdated; reload it"; // bot/console/origin_guard.py

const $ = (id) => document.getElementById(id);
let csrf = document.querySelector('meta[name="csrf-token"]').content; // of this session
let community = new URLSearchParams(location.search).get("community") ?? ""; // "": the first that may be looked at
let role = "viewer"; // viewer | moderator | owner | operator: what this person may do in it
let person = {}; // who is signed in
let stream = null;

const messages = new Map(); // id -> message, in the order sent
const cases = new Map(); // id -> case
const open = new Map(); // case id -> {choosing, explaining, explanation}: what is unfolded on its card
let policy = null;
let policyEdited = false;
let refreshing = false;
let cardsShown = CARDS_PER_PAGE;
let unseen = 0;

// ---- small helpers

/** An element; `props` are attributes, `children` are nodes or plain text. */
function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const button = (testid, text, onclick, more = {}) => el("button", { type: "button", "data-testid": testid, onclick, ...more }, text);
const percent = (share, digits = 0) => `${(share * 100).toFixed(digits)} %`;
const figure = (value) => (typeof value === "number" ? value.toFixed(3) : "–");
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function clock(iso, options = { hour: "2-digit", minute: "2-digit" }) {
  const date = new Date(iso);
  return el("time", { datetime: iso }, Number.isNaN(date.getTime()) ? "" : date.toLocaleString([], options));
}

function tell(text, isError = false) {
  const line = $("status");
  line.textContent = text;
  line.hidden = !text;
  line.classList.toggle("error", isError);
}

const may = (least) => ["viewer", "moderator", "owner", "operator"].indexOf(role) >= ["viewer", "moderator", "owner", "operator"].indexOf(least);

/** The address of something that belongs to the community on show. */
function here(path) {
  if (!community || new URLSearchParams(path.split("?")[1] ?? "").has("community")) return path;
  return `${path}${path.includes("?") ? "&" : "?"}${new URLSearchParams({ community })}`;
}

/** Answers with data or raises what the server says; an outdated token is renewed first; who is signed out signs in. */
async function api(method, path, body, renewed = false) {
  let response;
  try {
    response = await fetch(here(path), {
      method,
      headers: method === "GET" ? {} : { "Content-Type": "application/json", "X-CSRF-Token": csrf },
      body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
    });
  } catch {
    throw new Error("Domovoi does not answer; is it running?");
  }
  const data = await response.json().catch(() => ({}));
  if (response.status === 401) location.assign("/sign-in");
  if (response.status === 403 && data.error === OUTDATED && !renewed) {
    csrf = (await api("GET", "/api/state")).csrf;
    return api(method, path, body, true);
  }
  if (!response.ok) throw new Error(data.error || `The server answered ${response.status}.`);
  return data;
}

/** Runs what a button does: disabled meanwhile, an error goes to the status line. */
async function busy(button, work) {
  if (button) button.disabled = true;
  try {
    tell("");
    await work();
  } catch (error) {
    tell(error.message, true);
  } finally {
    if (button) button.disabled = false;
  }
}

// ---- the chat

function messageNode(message) {
  const removed = message.state === "removed";
  const trace = removed ? "removed by Domovoi" : message.state === "restored" ? "restored by a moderator" : "";
  return el(
    "li",
    { "data-testid": "chat-message", "data-id": message.id, "data-state": message.state },
    el("p", { class: "who" }, el("b", {}, message.name), " ", clock(message.sent_at)),
    el("p", { class: "said" }, removed ? el("s", {}, message.text) : message.text),
    trace ? el("p", { class: "trace" }, trace) : null,
    message.note ? el("p", { class: "note" }, `${message.name}: ${message.note}`) : null,
  );
}

function putMessage(message) {
  const list = $("messages");
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  const before = [...list.children].find((node) => node.dataset.id === String(message.id));
  messages.set(message.id, message);
  if (before) before.replaceWith(messageNode(message));
  else list.append(messageNode(message));
  if (atEnd) list.scrollTop = list.scrollHeight;
}

async function send(event) {
  event.preventDefault();
  const input = $("message-input");
  const text = input.value.trim();
  if (!text) return;
  await busy(event.submitter, async () => {
    await api("POST", "/api/messages", { person: $("speak-as").value, text });
    if (input.value.trim() === text) input.value = "";
  });
  input.focus();
}

// ---- the cards

function probabilityRow(label, probability, chosen) {
  return el(
    "div",
    { class: `probability ${label}${chosen ? " chosen" : ""}` },
    el("span", {}, label),
    el("progress", { max: 1, value: probability, "aria-label": `Probability of ${label}` }),
    el("span", { class: "number" }, percent(probability)),
  );
}

function whatWasDone(item) {
  return item.band === "clear" ? "Nobody was shown this message." : item.done;
}

/** The first line of a card: what the model made of it, unless it could not read it. */
function heading(item) {
  if (item.unread) return [el("span", { class: "label", "data-testid": "case-label" }, item.title)];
  const band = item.band === "clear" ? "harm in all: a random look at what was left alone" : `${item.band} band, from ${percent(item.threshold, 1)}`;
  return [
    el("span", { class: `label ${item.label}`, "data-testid": "case-label" }, item.label),
    el("b", { class: "number" }, percent(item.score, 1)),
    el("span", { class: "muted" }, band),
  ];
}

function answered(item) {
  if (item.state === "open") return null;
  const who = item.by === person.key ? person.name : item.by || "A moderator";
  const what = {
    confirmed: `${who} confirmed: ${item.label}`,
    corrected: `${who} corrected: ${item.label} → ${item.corrected_label}`,
    undone: `${who} undid the action`,
  }[item.state];
  const lesson = item.teaches === true ? " · the next refresh learns from it" : item.teaches === false ? " · does not teach" : "";
  return el("p", { class: `history ${item.state}` }, what + lesson);
}

/** How strongly a word is highlighted: "" or up-1..up-4 (raises the label), down-1..down-4 (lowers it). */
function shade(weight) {
  const step = Math.min(4, Math.ceil(Math.abs(weight) * 5 - 0.1));
  return step < 1 ? "" : `${weight > 0 ? "up" : "down"}-${step}`;
}

/** Where the words of `piece` begin and end in `text` from `cursor` on, whatever space lies between them; null if they do not. */
function find(text, piece, cursor) {
  let start = -1;
  let end = cursor;
  for (const word of piece.split(/\s+/)) {
    const at = text.indexOf(word, end);
    if (at < 0) return null;
    if (start < 0) start = at;
    end = at + word.length;
  }
  return { start, end };
}

/** The message's text with each evidence word marked; what lies between the words is kept as it was. */
function markedText(text, words) {
  const line = el("p", { class: "marked" });
  let cursor = 0;
  for (const { word, weight } of words) {
    const place = find(text, word, cursor);
    if (!place) continue; // stays in the text, unmarked
    line.append(text.slice(cursor, place.start));
    cursor = place.end;
    const shown = text.slice(place.start, place.end);
    const signed = `${weight > 0 ? "+" : ""}${weight.toFixed(2)}`;
    const tone = shade(weight);
    line.append(tone ? el("mark", { class: tone, title: signed }, shown, el("small", {}, signed)) : el("span", { title: signed }, shown));
  }
  line.append(text.slice(cursor));
  return line;
}

function evidence(item, found) {
  const box = el("div", { class: "evidence", "data-testid": "evidence", id: `evidence-${item.id}` });
  if (!found) {
    box.append(el("p", { class: "muted" }, "Looking for the evidence …"));
    return box;
  }
  box.append(
    el("h4", {}, `Words that speak for or against “${found.label}”`),
    markedText(item.text, found.words),
    el("p", { class: "key muted" }, el("mark", { class: "up-3" }, "raises"), " ", el("mark", { class: "down-3" }, "lowers")),
    el("h4", {}, "Threshold"),
    el("p", {}, found.sentence),
    el("h4", {}, "Nearest past corrections"),
  );
  if (!found.nearest.length) box.append(el("p", { class: "muted" }, "None yet."));
  else {
    box.append(
      el(
        "ul",
        {},
        ...found.nearest.map((near) =>
          el("li", {}, el("span", { class: `label ${near.label}` }, near.label), " ", near.text, " ", el("span", { class: "muted" }, `${percent(near.similarity)} alike`)),
        ),
      ),
    );
  }
  return box;
}

function caseNode(item) {
  const unfolded = open.get(item.id) ?? {};
  const act = (path, body) => (event) =>
    busy(event.currentTarget, async () => {
      const answer = await api("POST", `/api/cases/${item.id}/${path}`, body);
      unfold(item.id, { choosing: false });
      putCase(answer.case);
      tell(answer.text);
    });
  const choices = el("div", { class: "row choices", role: "group", "aria-label": "Which label is right?" }, el("span", {}, "The right label is"));
  for (const label of LABELS) {
    choices.append(button(`choose-${label}`, label, act("correct", { label }), { class: `label ${label}`, disabled: label === item.label && item.state !== "corrected" }));
  }
  return el(
    "li",
    { class: `card ${item.unread ? "unread" : item.label}`, "data-testid": "case", "data-id": item.id, "data-state": item.state, "data-band": item.band },
    el(
      "header",
      {},
      ...heading(item),
      el("span", { class: "when muted" }, clock(item.created_at)),
    ),
    el("blockquote", {}, el("p", {}, item.text), el("footer", {}, item.author)),
    item.unread ? null : el("div", { class: "probabilities" }, ...LABELS.map((label) => probabilityRow(label, item.probabilities[label] ?? 0, label === item.label))),
    el("p", { class: "reason" }, item.reason),
    el("p", { class: `done${item.enforced && item.actions.length ? " enforced" : ""}` }, whatWasDone(item)),
    item.edited ? el("p", { class: "muted" }, item.edited) : null,
    answered(item),
    item.unread || item.hidden ? null : el(
      "div",
      { class: "row" },
      may("moderator") ? button("confirm", "👍 Correct", act("confirm"), { disabled: item.state === "confirmed" }) : null,
      may("moderator") ? button("wrong", "👎 Wrong label", () => toggle(item.id, "choosing"), { "aria-expanded": String(!!unfolded.choosing) }) : null,
      item.undoable && may("moderator") ? button("undo", "Undo", act("undo")) : null,
      button("explain", "Explain", () => explain(item.id), { "aria-expanded": String(!!unfolded.explaining) }),
    ),
    unfolded.choosing ? choices : null,
    unfolded.explaining ? evidence(item, unfolded.explanation) : null,
    item.unread ? null : el("p", { class: "muted small" }, `adapter ${item.adapter}`),
  );
}

function unfold(id, change) {
  open.set(id, { ...open.get(id), ...change });
}

function toggle(id, what) {
  unfold(id, { [what]: !open.get(id)?.[what] });
  redrawCase(id);
}

async function explain(id) {
  toggle(id, "explaining");
  if (!open.get(id).explaining) return;
  await busy(null, async () => {
    try {
      unfold(id, { explanation: await api("GET", `/api/cases/${id}/explain`) });
    } catch (error) {
      unfold(id, { explaining: false });
      throw error;
    } finally {
      redrawCase(id);
    }
  });
}

/** Draws one card again in its place and keeps the keyboard focus where it was. */
function redrawCase(id) {
  const before = $("cases").querySelector(`[data-id="${Number(id)}"]`);
  if (!before) return;
  const focused = before.contains(document.activeElement) ? document.activeElement.dataset.testid : null;
  const after = caseNode(cases.get(id));
  before.replaceWith(after);
  if (!focused) return;
  const same = after.querySelector(`[data-testid="${focused}"]:not(:disabled)`);
  (same ?? after.querySelector('[data-testid="wrong"]')).focus();
}

function drawCases() {
  const newest = [...cases.values()].sort((a, b) => b.id - a.id);
  $("cases").replaceChildren(...newest.slice(0, cardsShown).map(caseNode));
  cardsChanged();
}

function cardsChanged() {
  $("older").hidden = cases.size <= $("cases").children.length;
  $("no-cases").hidden = cases.size > 0;
}

function putCase(item) {
  const known = cases.has(item.id);
  cases.set(item.id, item);
  if (known) {
    redrawCase(item.id);
    return;
  }
  $("cases").prepend(caseNode(item));
  cardsShown += 1;
  cardsChanged();
  $("announce").textContent = `New card: ${item.title}, from ${item.author}. ${whatWasDone(item)}`;
  if (document.body.dataset.tab !== "desk") showUnseen(unseen + 1);
}

// ---- the policy

function buildPolicyForm() {
  for (const label of HARMFUL) {
    const number = (name, text, more) => el("label", {}, `${text} `, el("input", { type: "number", name: `${label}.${name}`, required: true, ...more }));
    $("policy-labels").append(
      el(
        "fieldset",
        {},
        el("legend", {}, capital(label)),
        el(
          "div",
          { class: "fields" },
          number("alert_at", "Alert at", { min: 0, max: 1, step: "any" }),
          number("act_at", "Act at", { min: 0, max: 1, step: "any" }),
          number("timeout_minutes", "Timeout, minutes", { min: 1, max: 40320, step: 1 }),
          number("ban_hours", "Ban, hours", { min: 1, step: 1, placeholder: "for good", required: false }),
        ),
        el(
          "div",
          { class: "row checks", role: "group", "aria-label": `Actions on ${label}` },
          ...ACTIONS.map((action) => el("label", {}, el("input", { type: "checkbox", name: `${label}.actions`, value: action }), ` ${action}`)),
        ),
      ),
    );
  }
}

/** Too many members were acted on within an hour: until that is over, or somebody clicks, nothing is done. */
let paused = false;

function showPaused(now) {
  paused = now;
  if (policy) showPolicy(policy);
}

function showPolicy(fresh) {
  policy = fresh;
  const enforcing = policy.mode === "enforce";
  $("mode").textContent = enforcing && paused ? "enforce, paused" : policy.mode;
  $("resume").hidden = !(enforcing && paused);
  $("mode").dataset.mode = policy.mode;
  $("mode-switch").textContent = enforcing ? "Switch to shadow" : "Switch to enforce";
  if (policyEdited) return; // somebody is typing here: their figures stay until they save
  const fields = $("policy-form").elements;
  for (const label of HARMFUL) {
    for (const name of LABEL_NUMBERS) fields[`${label}.${name}`].value = policy[label][name] ?? "";
    for (const box of fields[`${label}.actions`]) box.checked = policy[label].actions.includes(box.value);
  }
  for (const name of ["timeout_at", "ban_at", "expire_days"]) fields[`strikes.${name}`].value = policy.strikes[name] ?? "";
  for (const name of LIMITS) fields[name].value = policy[name];
  for (const name of EXEMPT) fields[name].value = policy[name].join(", ");
  fields.categories.value = policy.categories.map((one) => [one.name, one.description, one.alert_at ?? ""].join(" | ")).join("\n");
}

/** The lines of the own categories; a threshold that is no number is left to the server to refuse. */
function categoriesFrom(text) {
  return text.split("\n").filter((line) => line.trim()).map((line) => {
    const [name, description = "", from = ""] = line.split("|").map((part) => part.trim());
    return { name, description, alert_at: from === "" ? null : Number.isNaN(Number(from)) ? from : Number(from) };
  });
}

/** The policy as the form has it; what the form does not show stays as it is. */
function policyFromForm() {
  const fields = $("policy-form").elements;
  const number = (name) => (fields[name].value === "" ? null : Number(fields[name].value));
  const drafted = structuredClone(policy);
  for (const label of HARMFUL) {
    for (const name of LABEL_NUMBERS) drafted[label][name] = number(`${label}.${name}`);
    const boxes = [...fields[`${label}.actions`]];
    const unlisted = policy[label].actions.filter((action) => !ACTIONS.includes(action));
    drafted[label].actions = [...unlisted, ...boxes.filter((box) => box.checked).map((box) => box.value)];
  }
  for (const name of ["timeout_at", "ban_at", "expire_days"]) drafted.strikes[name] = number(`strikes.${name}`);
  for (const name of LIMITS) drafted[name] = number(name);
  for (const name of EXEMPT) drafted[name] = fields[name].value.split(",").map((one) => one.trim()).filter(Boolean);
  drafted.categories = categoriesFrom(fields.categories.value);
  return drafted;
}

/** Thresholds that the moderators' own words speak for; "Use it" only fills the form in. */
async function loadAdvice() {
  const { advice } = await api("GET", "/api/advice");
  const rows = advice.map(({ label, alert_at, sentence }) =>
    el("li", {}, `${sentence} `, button("use-advice", `Use ${alert_at.toFixed(2)} for ${label}`, () => {
      const fields = $("policy-form").elements;
      fields[`${label}.alert_at`].value = alert_at;
      fields[`${label}.act_at`].value = Math.max(alert_at, Number(fields[`${label}.act_at`].value));
      edited(true);
    })),
  );
  $("advice").replaceChildren(...rows);
  $("advice").hidden = !rows.length;
}

let adviceDue = 0;

/** A burst of clicks asks once. */
function adviceSoon() {
  clearTimeout(adviceDue);
  adviceDue = setTimeout(() => loadAdvice().catch((error) => tell(error.message, true)), 400);
}

function edited(yes) {
  policyEdited = yes;
  $("policy-state").textContent = yes ? "not saved yet" : "";
}

async function previewPolicy(event) {
  if (!$("policy-form").reportValidity()) return;
  await busy(event.currentTarget, async () => {
    const { sentence } = await api("POST", "/api/policy/preview", policyFromForm());
    $("preview-sentence").textContent = sentence;
    $("preview-sentence").hidden = false;
  });
}

async function savePolicy(event) {
  event.preventDefault();
  await busy(event.submitter, async () => {
    const saved = await api("PUT", "/api/policy", policyFromForm());
    edited(false);
    showPolicy(saved.policy);
    adviceSoon();
    $("policy-state").textContent = "saved";
  });
}

async function switchMode(event) {
  const mode = policy.mode === "enforce" ? "shadow" : "enforce";
  await busy(event.currentTarget, async () => showPolicy((await api("PUT", "/api/policy", { ...policy, mode })).policy));
}

// ---- learning and adapters

function showNotice(text) {
  $("notice-text").textContent = text;
  $("notice").hidden = false;
}

function showRefresh(refresh) {
  const before = refreshing;
  refreshing = !!refresh?.running;
  $("refresh").disabled = refreshing;
  $("refresh-live").hidden = !refreshing;
  $("refresh-stage").textContent = refreshing ? `${refresh.stage} (${percent(refresh.share)})` : "";
  $("refresh-progress").value = refresh?.share ?? 0;
  $("refresh-result").textContent = refresh?.result ?? "";
  $("refresh-result").hidden = !refresh?.result;
  if (before && !refreshing) loadAdapters();
}

/** What this community was found to count otherwise than the model. */
function showNorm(norm) {
  $("norm").hidden = !norm;
  if (norm) $("norm").textContent = `Learned here: ${norm.sentence}, from ${norm.words} words of ${norm.moderators} moderator${norm.moderators === 1 ? "" : "s"}. Roll back to take it back.`;
}

const AUDIT_NEEDED = 30;

/** How many random messages were looked at, and what they were. */
function showAudit(audit) {
  const counts = LABELS.map((label) => audit[label] ?? 0);
  const all = counts.reduce((sum, count) => sum + count, 0);
  const found = LABELS.slice(0, 2).map((label, n) => `${counts[n]} ${label}`).join(", ");
  const more = all < AUDIT_NEEDED ? `; from ${AUDIT_NEEDED} on, a refresh is also judged by your daily mix` : "";
  $("audited").textContent = all ? `${all} looked at so far: ${found}${more}` : "";
}

async function lookAtRandom(event) {
  await busy(event.currentTarget, async () => {
    const { opened, audit } = await api("POST", "/api/audit");
    showAudit(audit);
    tell(opened ? `${opened} cards of random messages were added above: 👍 if neutral is right, 👎 if not.` : "There are no more messages of the last 7 days to look at.");
  });
}

async function startRefresh(event) {
  await busy(event.currentTarget, () => api("POST", "/api/refresh"));
  $("refresh").disabled = refreshing;
}

function adapterRow(adapter) {
  const own = adapter.community ? "own/" : "";
  const whose = adapter.community ? `?${new URLSearchParams({ community: adapter.community })}` : "";
  const report = `/adapters/${own}${encodeURIComponent(adapter.version)}/report.html${whose}`;
  return el(
    "tr",
    { class: adapter.serving ? "serving" : null },
    el(
      "th",
      { scope: "row" },
      adapter.version,
      adapter.community ? el("small", { class: "muted" }, ` for ${adapter.name} alone`) : null,
      adapter.taken_back ? el("small", { class: "muted" }, ` learned from ${adapter.taken_back} examples that were taken back since; the next refresh starts before them`) : null,
      adapter.untrusted ? el("small", { class: "muted" }, ` learned from ${adapter.untrusted} examples of communities that are not trusted; the next refresh starts before them`) : null,
    ),
    el("td", {}, clock(adapter.created_at, { dateStyle: "medium", timeStyle: "short" })),
    el("td", {}, adapter.serving ? "● serving" : ""),
    el("td", { class: "number" }, figure(adapter.macro_f1)),
    el("td", { class: "number" }, figure(adapter.balanced_accuracy)),
    el(
      "td",
      {},
      adapter.has_report ? el("a", { href: report, target: "_blank", rel: "noopener", "aria-label": `Report of ${adapter.version}` }, "report") : "–",
      " ",
      adapter.parent && !adapter.community && may("moderator") ? button("changes", "What changed", (event) => showChanges(event, adapter), { "aria-label": `What changed with ${adapter.version}` }) : null,
      adapter.serving && adapter.community && may("owner") ? button("rollback-own", "Roll back", (event) => rollBack(event, adapter.community), { "aria-label": `Roll back ${adapter.version} for ${adapter.name}` }) : null,
    ),
  );
}

const said = (label, band) => (band === "clear" ? "left alone" : `${label}, ${band === "action" ? "acted on" : "shown"}`);

/** Past messages that this adapter would decide differently from the one it came from. */
async function showChanges(event, adapter) {
  await busy(event.currentTarget, async () => {
    const { looked_at, flips } = await api("GET", `/api/adapters/${encodeURIComponent(adapter.version)}/changes`);
    const summary = `Of the last ${looked_at} different messages, ${adapter.version} decides ${flips.length} differently from the adapter it came from.`;
    const rows = flips.map((flip) =>
      el("li", {}, el("q", {}, flip.text), " ", el("small", {}, `${said(flip.label_before, flip.band_before)} → ${said(flip.label_after, flip.band_after)}`)),
    );
    $("changes").replaceChildren(el("p", {}, summary), el("ul", {}, ...rows));
    $("changes").hidden = false;
  });
}

async function loadAdapters() {
  try {
    const { adapters } = await api("GET", "/api/adapters");
    $("adapters").replaceChildren(...adapters.map(adapterRow));
    const forAll = adapters.filter((one) => !one.community);
    $("history").replaceChildren(...(forAll.some((one) => typeof one.macro_f1 === "number") ? [drawHistory(forAll)] : []));
    $("rollback").disabled = forAll.length < 2;
  } catch (error) {
    tell(error.message, true);
  }
}

/** Back to the adapter before: the one for all, or a community's own. */
async function rollBack(event, whose = "") {
  const path = whose ? `/api/adapters/own/rollback?${new URLSearchParams({ community: whose })}` : "/api/adapters/rollback";
  await busy(event.currentTarget, async () => {
    const { adapter } = await api("POST", path);
    tell(`Rolled back to ${adapter}.`);
  });
  await loadAdapters();
}

/** Which adapter serves here, and what it goes by, is asked for: communities differ. */
async function adapterChanged() {
  const state = await api("GET", "/api/state").catch(() => null);
  if (!state) return;
  showAdapter(state.adapter);
  showNorm(state.norm);
  await loadAdapters();
}

function showAdapter(adapter) {
  $("adapter-version").textContent = adapter;
}

/** What the embedded model, answering first, saved and what that lost, as far as the audit can tell. */
function showStages(stages) {
  const line = $("two-stages");
  line.hidden = !stages;
  if (!stages) return;
  const lost = stages.recall_lost === null
    ? "nothing was audited yet"
    : `of ${stages.audited} audited ones ${stages.audited_harmful} were harmful: about ${percent(stages.recall_lost, 1)} of all harmful messages are missed, at most ${percent(stages.recall_lost_at_most, 1)}`;
  line.textContent = `First stage: ${percent(stages.saved)} of the messages were confidently neutral and not read further; ${lost}.`;
}

/** The figures grow with every message; half a minute is soon enough. */
async function followFigures() {
  if ($("two-stages").hidden) return;
  const state = await api("GET", "/api/state").catch(() => null);
  if (state) showStages(state.two_stages);
}

/** Servers come and go, and what does not work is to be seen within ten seconds. */
async function followPlatforms() {
  const found = await api("GET", "/api/platforms").catch(() => null);
  if (found?.platforms.length) drawPlatforms($("platforms"), found.platforms);
}

function previewCard() {
  return busy($("card-preview"), async () => {
    const { card } = await api("GET", `/api/card?language=${$("card-language").value}`);
    drawCard($("previewed"), card);
    $("previewed").hidden = false;
  });
}

// ---- the page

/** Who is signed in, and the communities that they may look at. */
async function loadPerson() {
  const me = await api("GET", "/api/me");
  $("who").textContent = me.name;
  person = me;
  const name = me.communities.find((one) => one.community === community)?.name ?? community;
  $("desk-title").textContent = $("chat").hidden ? name : "Moderators";
  document.title = `Domovoi: ${name}`;
  const options = me.communities.map((one) => el("option", { value: one.community }, one.name));
  $("switch").replaceChildren(...options);
  $("switch").value = community;
  $("switcher").hidden = options.length < 2;
  $("sign-out-everybody").hidden = !me.is_operator;
}

async function load() {
  const state = await api("GET", "/api/state");
  csrf = state.csrf;
  community = state.community;
  role = state.role;
  $("room").textContent = state.room;
  $("community").textContent = state.community;
  $("chat").hidden = !state.room;
  document.body.dataset.role = role;
  document.body.toggleAttribute("data-no-chat", !state.room);
  if (!state.room) showTab("desk");
  for (const field of $("policy-form").elements) field.disabled = !may("owner") && field.id !== "policy-preview";
  for (const [id, least] of [["mode-switch", "owner"], ["refresh", "operator"], ["rollback", "operator"], ["audit", "moderator"]]) $(id).hidden = !may(least);
  $("own-categories").hidden = !state.own_categories;
  await loadPerson();
  const speaker = $("speak-as").value;
  $("speak-as").replaceChildren(...state.people.map((person) => el("option", { value: person.id }, person.is_moderator ? `${person.name} (moderator)` : person.name)));
  if (state.people.some((person) => person.id === speaker)) $("speak-as").value = speaker;
  messages.clear();
  $("messages").replaceChildren();
  state.messages.forEach(putMessage);
  $("messages").scrollTop = $("messages").scrollHeight;
  cases.clear();
  for (const item of state.cases) cases.set(item.id, item);
  drawCases();
  paused = state.paused;
  showPolicy(state.policy);
  adviceSoon();
  showAdapter(state.adapter);
  showRefresh(state.refresh);
  showNorm(state.norm);
  showAudit(state.audit);
  showStages(state.two_stages);
  drawPlatforms($("platforms"), state.platforms);
  if (state.notice) showNotice(state.notice);
  await loadAdapters();
}

function onEvent(event) {
  switch (event.type) {
    case "message": return putMessage(event.message);
    case "case":
      if (event.case.state !== "open") adviceSoon();
      return putCase(event.case);
    case "policy": return showPolicy(event.policy);
    case "paused": return showPaused(event.paused);
    case "refresh": return showRefresh(event.refresh);
    case "adapter":
      return void adapterChanged();
    case "notice":
      showNotice(event.text);
  }
}

/** Follows the feed. Each (re)connection loads the whole state; what arrives meanwhile is applied after it. */
function follow() {
  const source = new EventSource(here("/api/events"));
  stream = source;
  let waiting = [];
  let lost = false;
  source.onopen = async () => {
    waiting ??= [];
    try {
      await load();
      if (lost) tell("");
      lost = false;
    } catch (error) {
      tell(error.message, true);
    }
    const late = waiting ?? [];
    waiting = null;
    late.forEach(onEvent);
  };
  source.onmessage = ({ data }) => {
    const event = JSON.parse(data);
    if (waiting) waiting.push(event);
    else onEvent(event);
  };
  source.onerror = () => {
    if (source !== stream) return;
    lost = true;
    tell("Connection lost; trying again …", true);
    if (source.readyState === EventSource.CLOSED) setTimeout(askAgain, 3000, source); // refused outright: the browser gives up by itself
  };
}

/** Why the stream was refused is said by the state: who is signed out is sent to sign in. */
async function askAgain(source) {
  if (source !== stream) return;
  try {
    const { communities } = await api("GET", "/api/me");
    if (!communities.length) throw new Error("You moderate no community that this bot is in; its owner can give you the rights there.");
    if (!communities.some((one) => one.community === community)) community = "";
    follow();
  } catch (error) {
    tell(error.message, true);
    setTimeout(askAgain, 3000, source);
  }
}

/** Shows another community. */
function switchTo(chosen) {
  community = chosen;
  history.replaceState(null, "", `?${new URLSearchParams({ community })}`);
  stream?.close();
  open.clear();
  edited(false);
  $("notice").hidden = true;
  $("changes").hidden = true;
  $("previewed").hidden = true;
  follow();
}

async function signOut(event, whose) {
  await busy(event.currentTarget, async () => {
    await api("POST", "/api/sign-out", { whose });
    location.assign("/sign-in");
  });
}

function showUnseen(count) {
  unseen = count;
  $("unseen").textContent = count ? `${count} new` : "";
  $("unseen").hidden = !count;
}

function showTab(name) {
  document.body.dataset.tab = name;
  for (const tab of document.querySelectorAll(".tabs button")) tab.setAttribute("aria-pressed", String(tab.dataset.tab === name));
  if (name === "desk") showUnseen(0);
  else $("messages").scrollTop = $("messages").scrollHeight;
}

buildPolicyForm();
for (const tab of document.querySelectorAll(".tabs button")) tab.addEventListener("click", () => showTab(tab.dataset.tab));
for (const link of document.querySelectorAll(".jump a")) link.addEventListener("click", () => ($(link.hash.slice(1)).open = true));
$("switch").addEventListener("change", () => switchTo($("switch").value));
for (const whose of ["this", "mine", "everybody"]) $(`sign-out-${whose}`).addEventListener("click", (event) => signOut(event, whose));
$("resume").addEventListener("click", () => busy($("resume"), () => api("POST", "/api/resume")));
$("notice-close").addEventListener("click", () => ($("notice").hidden = true));
$("compose").addEventListener("submit", send);
$("mode-switch").addEventListener("click", switchMode);
$("older").addEventListener("click", () => {
  cardsShown += CARDS_PER_PAGE;
  drawCases();
});
$("policy-form").addEventListener("input", () => edited(true));
$("policy-form").addEventListener("submit", savePolicy);
$("policy-preview").addEventListener("click", previewPolicy);
$("refresh").addEventListener("click", startRefresh);
$("rollback").addEventListener("click", (event) => rollBack(event));
$("audit").addEventListener("click", lookAtRandom);
$("card-preview").addEventListener("click", previewCard);
follow();
setInterval(followFigures, 30_000);
setInterval(followPlatforms, 5_000);
