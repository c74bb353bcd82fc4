// The page: draws what the service tells it, and sends what people click. Texts only ever go in as text.
const $ = (id) => document.getElementById(id);
const token = document.querySelector("meta[name=csrf-token]").content;
const LABELS = ["hate", "offensive", "neutral"];
const ACTIONS = ["delete", "warn", "timeout", "kick", "ban"];
const PLACES = { alert_at: "Alert from", act_at: "Act from" };
let policy = null;

async function call(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "Content-Type": "application/json", "X-CSRF-Token": token },
    body: body === undefined ? undefined : JSON.stringify(body),
  }).catch(() => null);
  const data = answer === null ? { error: "the service does not answer; is it still running?" } : await answer.json().catch(() => ({}));
  if (answer === null || !answer.ok) {
    say(data.error || `the service answered ${answer.status}`);
    throw new Error(data.error);
  }
  return data;
}

function say(text) {
  $("status").textContent = text;
  $("status").hidden = !text;
}

// A small element: make("p", "text", {class: "quiet", "data-testid": "x"})
function make(tag, text = "", attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function button(text, testid, act) {
  const element = make("button", text, { type: "button", "data-testid": testid });
  element.addEventListener("click", async () => {
    element.disabled = true;
    await act().catch(() => {});
    element.disabled = false;
  });
  return element;
}

function drawMessage(message) {
  const notes = { removed: "removed by Domovoi", restored: "restored by a moderator" };
  const note = [notes[message.state], message.note].filter(Boolean).join(", ");
  const item = make("li", "", { id: `m-${message.id}`, "data-testid": "chat-message", "data-state": message.state });
  item.append(make("span", message.name, { class: "author" }), make("span", message.text, { class: "text" }));
  if (note) item.append(make("span", ` — ${note}`, { class: "quiet" }));
  const old = $(item.id);
  if (old) old.replaceWith(item);
  else $("messages").append(item);
  if (!old) $("messages").scrollTop = $("messages").scrollHeight;
}

function drawCase(c) {
  const card = make("article", "", { id: `c-${c.id}`, class: "case", "data-testid": "case", "data-id": c.id, "data-state": c.state, "data-label": c.label });
  const done = c.actions.length === 0 ? "shown to moderators" : (c.enforced ? "" : "would have: ") + c.actions.join(", ");
  card.append(make("p", c.text || "(the text is no longer kept)", { class: "said" }));
  const line = make("p");
  line.append(make("b", c.author), ` · `, make("b", c.label, { "data-testid": "case-label" }), ` · ${c.band} band · `, make("b", done));
  card.append(line);
  const bars = make("div", "", { class: "bars" });
  for (const label of LABELS) {
    const value = c.probabilities[label] ?? 0;
    bars.append(make("span", label), make("meter", "", { min: 0, max: 1, value, "aria-label": label }), make("span", `${Math.round(value * 100)} %`));
  }
  card.append(bars, make("p", `${c.reason} · adapter ${c.adapter}`, { class: "quiet" }));
  if (c.state !== "open") {
    const teaches = c.teaches === null ? "" : c.teaches ? "; teaches" : "; does not teach";
    const word = c.state === "corrected" ? `corrected to ${c.corrected_label}` : c.state;
    card.append(make("p", `${word} by ${c.by}${teaches}`, { class: "quiet" }));
  }
  const tell = (data) => { drawCase(data.case); say(data.text); };
  const choices = make("span", "", { hidden: "", class: "row" });
  for (const label of LABELS.filter((l) => l !== c.label))
    choices.append(button(label, `choose-${label}`, async () => tell(await call("POST", `/api/cases/${c.id}/correct`, { label }))));
  const row = make("div", "", { class: "row" });
  row.append(
    button("👍 Correct", "confirm", async () => tell(await call("POST", `/api/cases/${c.id}/confirm`, {}))),
    button("👎 Wrong label", "wrong", async () => { choices.hidden = !choices.hidden; }),
    choices,
  );
  if (c.undoable) row.append(button("Undo", "undo", async () => tell(await call("POST", `/api/cases/${c.id}/undo`, {}))));
  row.append(button("Explain", "explain", async () => {
    const found = await call("GET", `/api/cases/${c.id}/explain`);
    card.querySelector(".evidence")?.remove();
    card.append(drawEvidence(found));
  }));
  card.append(row);
  const old = $(card.id);
  if (old) {
    const evidence = old.querySelector(".evidence");
    if (evidence) card.append(evidence);
    old.replaceWith(card);
  } else $("cases").prepend(card);
  $("no-cases").hidden = true;
}

function drawEvidence(found) {
  const box = make("div", "", { class: "evidence", "data-testid": "evidence" });
  const words = make("p");
  for (const { word, weight } of found.words) {
    const strength = weight > 0.3 ? 3 : weight > 0.1 ? 2 : weight > 0.03 ? 1 : 0;
    words.append(make("mark", word, { "data-strength": strength, title: `${found.label} falls by ${weight.toFixed(2)} without it` }), " ");
  }
  box.append(words, make("p", found.sentence, { class: "quiet" }));
  for (const near of found.nearest)
    box.append(make("p", `Like an earlier correction (${Math.round(near.similarity * 100)} %): “${near.text}” → ${near.label}`, { class: "quiet" }));
  return box;
}

function drawPolicy(now) {
  policy = now;
  $("mode").textContent = now.mode;
  $("mode").dataset.mode = now.mode;
  $("mode-switch").textContent = now.mode === "shadow" ? "Switch to enforce" : "Back to shadow";
  const form = $("policy");
  for (const label of ["hate", "offensive"]) {
    for (const place of Object.keys(PLACES)) form.elements[`${label}.${place}`].value = now[label][place];
    form.elements[`${label}.timeout_minutes`].value = now[label].timeout_minutes;
    for (const action of ACTIONS) form.elements[`${label}.${action}`].checked = now[label].actions.includes(action);
  }
  form.elements.max_actions_per_hour.value = now.max_actions_per_hour;
  for (const name of ["timeout_at", "ban_at", "expire_days"]) form.elements[`strikes.${name}`].value = now.strikes[name] ?? "";
}

function readPolicy() {
  const form = $("policy");
  const number = (name) => (form.elements[name].value === "" ? null : Number(form.elements[name].value));
  const section = (label) => ({
    ...policy[label],
    alert_at: number(`${label}.alert_at`),
    act_at: number(`${label}.act_at`),
    actions: ACTIONS.filter((action) => form.elements[`${label}.${action}`].checked),
    timeout_minutes: number(`${label}.timeout_minutes`),
  });
  const strikes = { expire_days: number("strikes.expire_days"), timeout_at: number("strikes.timeout_at"), ban_at: number("strikes.ban_at") };
  return { ...policy, hate: section("hate"), offensive: section("offensive"), strikes, max_actions_per_hour: number("max_actions_per_hour") };
}

function buildPolicyForm() {
  for (const set of document.querySelectorAll("fieldset[data-label]")) {
    const label = set.dataset.label;
    const field = (text, attributes) => {
      const line = make("label", `${text} `);
      line.append(make("input", "", attributes));
      set.append(line);
    };
    for (const [place, text] of Object.entries(PLACES))
      field(text, { type: "number", name: `${label}.${place}`, min: 0, max: 1, step: 0.01, required: "" });
    for (const action of ACTIONS) field(action, { type: "checkbox", name: `${label}.${action}` });
    field("Timeout minutes", { type: "number", name: `${label}.timeout_minutes`, min: 1, max: 40320, required: "" });
  }
}

function drawRefresh(refresh) {
  if (!refresh) return;
  $("refresh").disabled = refresh.running;
  $("refresh-progress").hidden = !refresh.running;
  $("refresh-progress").value = refresh.share;
  $("refresh-stage").textContent = refresh.running ? refresh.stage : "";
  $("refresh-result").textContent = refresh.result;
  if (!refresh.running) drawAdapters().catch(() => {});
}

async function drawAdapters() {
  const { adapters } = await call("GET", "/api/adapters");
  const figure = (value) => (value === null ? "–" : value.toFixed(3));
  $("adapters").replaceChildren(...adapters.map((a) => {
    const row = make("tr", "", { "data-serving": a.serving });
    row.append(make("td", a.version + (a.serving ? " (serves)" : "")), make("td", a.created_at.slice(0, 16).replace("T", " ")), make("td", figure(a.macro_f1)), make("td", figure(a.balanced_accuracy)));
    const link = make("td");
    if (a.has_report) link.append(make("a", "report", { href: `/adapters/${a.version}/report.html`, target: "_blank", rel: "noreferrer" }));
    row.append(link);
    return row;
  }));
}

async function load() {
  const state = await call("GET", "/api/state");
  $("room-name").textContent = `${state.community} / ${state.room}`;
  $("adapter").textContent = state.adapter;
  if (!$("person").options.length) $("person").append(...state.people.map((p) => make("option", p.name, { value: p.id })));
  $("messages").replaceChildren();
  state.messages.forEach(drawMessage);
  $("cases").replaceChildren();
  state.cases.reverse().forEach(drawCase);
  drawPolicy(state.policy);
  drawRefresh(state.refresh);
  await drawAdapters();
}

function listen() {
  const events = new EventSource("/api/events");
  let lost = false;
  events.onerror = () => { lost = true; };
  events.onopen = () => { if (lost) { lost = false; load().catch(() => {}); } };
  events.onmessage = ({ data }) => {
    const told = JSON.parse(data);
    if (told.type === "message") drawMessage(told.message);
    if (told.type === "case") drawCase(told.case);
    if (told.type === "policy") drawPolicy(told.policy);
    if (told.type === "refresh") drawRefresh(told.refresh);
    if (told.type === "notice") say(told.text);
    if (told.type === "adapter") { $("adapter").textContent = told.adapter; drawAdapters().catch(() => {}); }
  };
}

$("compose").addEventListener("submit", async (event) => {
  event.preventDefault();
  say("");
  await call("POST", "/api/messages", { person: $("person").value, text: $("text").value }).then(() => { $("text").value = ""; }, () => {});
});
$("mode-switch").addEventListener("click", () => call("PUT", "/api/policy", { ...policy, mode: policy.mode === "shadow" ? "enforce" : "shadow" }).catch(() => {}));
$("preview").addEventListener("click", async () => {
  await call("POST", "/api/policy/preview", readPolicy()).then(({ sentence }) => { $("preview-sentence").textContent = sentence; }, () => {});
});
$("policy").addEventListener("submit", async (event) => {
  event.preventDefault();
  await call("PUT", "/api/policy", readPolicy()).then(() => say("The policy is saved and in force."), () => {});
});
$("refresh").addEventListener("click", () => call("POST", "/api/refresh", {}).catch(() => {}));
$("rollback").addEventListener("click", () => call("POST", "/api/adapters/rollback", {}).then(({ adapter }) => say(`${adapter} serves now.`), () => {}));

buildPolicyForm();
listen();
load().catch(() => {});
