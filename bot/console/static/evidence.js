// Why a message got its label: its words, the threshold, and corrections of similar messages.

import { percent, signed } from "./format.js";
import { html } from "./html.js";
import * as sentences from "./sentences.js";

const SHADES = 4;

export function Evidence({ item, explanation }) {
  return html`
    <div class="evidence" data-testid="evidence" id=${`evidence-${item.id}`}>
      ${explanation ? html`<${Found} text=${item.text} ...${explanation} />` : html`<p class="muted">${sentences.EXPLAINING}</p>`}
    </div>
  `;
}

function Found({ text, label, words, part, sentence, nearest }) {
  return html`
    <h4>${sentences.wordsFor(label)}</h4>
    <p class="marked">${marked(text, words).map(Piece)}</p>
    ${part ? html`<p class="muted">${sentences.PART_DECIDED} <q>${part}</q></p>` : null}
    <p class="key muted"><mark class="up-3">raises</mark>${" "}<mark class="down-3">lowers</mark></p>
    <h4>Threshold</h4>
    <p>${sentence}</p>
    <h4>Nearest past corrections</h4>
    ${nearest.length ? html`<ul>${nearest.map(Near)}</ul>` : html`<p class="muted">${sentences.NONE_YET}</p>`}
  `;
}

function Near({ label, text, similarity }) {
  return html`<li><span class=${`label ${label}`}>${label}</span> <span class="near">${text}</span> <span class="muted">${sentences.alike(similarity)}</span></li>`;
}

function Piece({ text, weight }) {
  if (weight === null) return text;
  const tone = shade(weight);
  if (!tone) return html`<span title=${signed(weight)}>${text}</span>`;
  return html`<mark class=${tone} title=${signed(weight)}>${text}<small>${signed(weight)}</small></mark>`;
}

/** How strongly a word is highlighted: "" or up-1..up-4 (raises the label), down-1..down-4 (lowers it). */
function shade(weight) {
  const step = Math.min(SHADES, Math.ceil(Math.abs(weight) * 5 - 0.1));
  return step < 1 ? "" : `${weight > 0 ? "up" : "down"}-${step}`;
}

/** `text` in pieces: each evidence word with its weight, what lies between the words with null. */
function marked(text, words) {
  const pieces = [];
  let cursor = 0;
  for (const { word, weight } of words) {
    const place = find(text, word, cursor);
    if (!place) continue; // stays in the text, unmarked
    pieces.push({ text: text.slice(cursor, place.start), weight: null });
    pieces.push({ text: text.slice(place.start, place.end), weight });
    cursor = place.end;
  }
  return [...pieces, { text: text.slice(cursor), weight: null }];
}

/** Where the words of `piece` begin and end in `text` from `cursor` on, whatever space lies between them; or null. */
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
