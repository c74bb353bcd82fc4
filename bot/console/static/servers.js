// Where the bot is, what it lacks there, and what a card looks like to moderators. Text reaches the page as text only.

const VERBS = { right: "go", wrong: "stop", undo: "plain", explain: "info" };

function node(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** One platform: why it is silent, the link that adds the bot, and each server with what is missing there. */
function platform(state) {
  const box = node("section", { "data-testid": "platform", class: "platform" });
  const name = state.platform.charAt(0).toUpperCase() + state.platform.slice(1);
  box.append(node("h3", {}, name));
  if (state.trouble) box.append(node("p", { class: "result warn" }, state.trouble));
  const faults = state.faults.map((fault) => node("li", { "data-testid": "fault" }, fault));
  if (faults.length) box.append(node("ul", { class: "result warn" }, ...faults));
  if (state.invite) {
    const link = node("a", { href: state.invite, target: "_blank", rel: "noopener noreferrer", "data-testid": "invite" });
    link.append(state.platform === "telegram" ? "Add the bot to a group on Telegram" : `Add the bot to a server on ${name}`);
    box.append(node("p", {}, link));
  }
  const list = node("ul", { class: "places" });
  for (const place of state.places) {
    const line = node("li", { "data-testid": "place" }, node("b", {}, place.name), " ");
    line.append(node("span", { class: "badge", "data-mode": place.mode }, place.mode));
    if (!place.has_cards) line.append(node("p", { class: "muted" }, "Cards go nowhere yet: somebody must run /setup there."));
    if (place.problems.length) line.append(node("ul", {}, ...place.problems.map((problem) => node("li", {}, problem))));
    list.append(line);
  }
  if (!state.places.length && !state.trouble) list.append(node("li", { class: "muted" }, "The bot is on no server yet."));
  box.append(list);
  return box;
}

/** All platforms; without any, how to get one. */
export function drawPlatforms(into, states) {
  if (states.length) into.replaceChildren(...states.map(platform));
  else {
    const how = "This is the try-out chat alone. For Discord or Telegram put a bot's token into DOMOVOI_DISCORD_TOKEN or DOMOVOI_TELEGRAM_TOKEN and start again; docs/discord.md and docs/telegram.md have the steps.";
    into.replaceChildren(node("p", { class: "muted" }, how));
  }
}

/** A card as moderators see it on Discord. */
export function drawCard(into, card) {
  if (!card) {
    into.replaceChildren(node("p", { class: "muted" }, "No card yet: write something rude in the chat first."));
    return;
  }
  const shown = node("article", { class: `as-on-discord ${card.label}`, lang: card.language });
  shown.append(node("h4", {}, card.title), node("pre", {}, card.text));
  const facts = node("dl");
  for (const [name, lines] of card.fields) facts.append(node("dt", {}, name), ...lines.map((line) => node("dd", {}, line)));
  shown.append(facts, node("p", { class: "small" }, card.footer));
  const row = node("div", { class: "row" });
  for (const [verb, text] of card.buttons) row.append(node("span", { class: `chat-button ${VERBS[verb]}` }, text));
  into.replaceChildren(node("p", { class: "small muted" }, "DOMOVOI"), shown, row);
}
