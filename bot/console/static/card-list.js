// The cards, newest first, so many at a time.

import { Card } from "./card.js";
import { html } from "./html.js";
import { NO_CARDS } from "./sentences.js";
import { may, store } from "./store.js";

const CARDS_PER_PAGE = 20;

export function CardList({ cases, extraCards, unfolded, facts, person }) {
  const count = CARDS_PER_PAGE + extraCards;
  const mayAnswer = may("POST /api/cases/{case}/confirm");
  const card = (item) =>
    html`<${Card} key=${item.id} item=${item} unfolded=${unfolded[item.id]} facts=${facts} person=${person} mayAnswer=${mayAnswer} />`;
  const showOlder = () => store.update({ extraCards: extraCards + CARDS_PER_PAGE });
  return html`
    <p id="no-cases" class="empty" hidden=${cases.length > 0}>${NO_CARDS}</p>
    <ol id="cases" aria-label="Cards, newest first">${cases.slice(0, count).map(card)}</ol>
    <button type="button" id="older" hidden=${cases.length <= count} onClick=${showOlder}>Show older cards</button>
  `;
}
