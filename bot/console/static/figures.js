// How good each adapter was on held-out texts, oldest left: one line a figure, a larger dot for the one that serves.

import { html } from "./html.js";
import * as sentences from "./sentences.js";

const WIDTH = 560;
const HEIGHT = 150;
const LEFT = 44;
const RIGHT = 12;
const TOP = 12;
const BOTTOM = 26;
const TWENTIETH = 20;
const LINES = [
  ["macro_f1", "macro-F1"],
  ["balanced_accuracy", "balanced accuracy"],
];

/** Draws adapters in the order of /api/adapters (newest first); those without figures are left out. */
export function Figures({ adapters }) {
  const measured = adapters.filter((one) => LINES.every(([key]) => typeof one[key] === "number")).reverse();
  if (!measured.length) return null;
  const values = measured.flatMap((one) => LINES.map(([key]) => one[key]));
  const low = Math.floor(Math.min(...values) * TWENTIETH - 0.5) / TWENTIETH;
  const high = Math.ceil(Math.max(...values) * TWENTIETH + 0.5) / TWENTIETH;
  const step = (WIDTH - LEFT - RIGHT) / (measured.length - 1);
  const x = (index) => (measured.length === 1 ? (LEFT + WIDTH - RIGHT) / 2 : LEFT + index * step);
  const y = (value) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  return html`
    <svg viewBox=${`0 0 ${WIDTH} ${HEIGHT}`} class="figures" role="img">
      <title>${sentences.figures(measured.length)}</title>
      ${[low, (low + high) / 2, high].map((value) => html`<${Grid} value=${value} y=${y(value)} />`)}
      ${LINES.map((_, number) => html`<${Line} number=${number} adapters=${measured} x=${x} y=${y} />`)}
    </svg>
  `;
}

function Grid({ value, y }) {
  return html`
    <line x1=${LEFT} x2=${WIDTH - RIGHT} y1=${y} y2=${y} class="grid" />
    <text x=${LEFT - 6} y=${y + 4} class="tick end">${value.toFixed(2)}</text>
  `;
}

function Line({ number, adapters, x, y }) {
  const [key, name] = LINES[number];
  const dot = (one, index) => html`
    <circle cx=${x(index)} cy=${y(one[key])} r=${one.serving ? 5 : 3} class=${`dot line-${number}`}>
      <title>${`${one.version}: ${name} ${one[key].toFixed(3)}${one.serving ? ", serving" : ""}`}</title>
    </circle>
  `;
  return html`
    <polyline points=${adapters.map((one, index) => `${x(index)},${y(one[key])}`).join(" ")} class=${`line line-${number}`} />
    ${adapters.map(dot)}
    <text x=${LEFT + number * 110} y=${HEIGHT - 6} class=${`tick line-${number}`}>● ${name}</text>
  `;
}
