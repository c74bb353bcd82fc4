// Numbers, names and moments as people read them.

import { html } from "./html.js";

const TIME = { hour: "2-digit", minute: "2-digit" };
export const DAY_AND_TIME = { dateStyle: "medium", timeStyle: "short" };

export const percent = (share, digits = 0) => `${(share * 100).toFixed(digits)} %`;
export const figure = (value) => (typeof value === "number" ? value.toFixed(3) : "–");
export const signed = (value) => `${value > 0 ? "+" : ""}${value.toFixed(2)}`;
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);
export const language = (name) => new Intl.DisplayNames(["en"], { type: "language" }).of(name);

export function Clock({ iso, options = TIME }) {
  const date = new Date(iso);
  const text = Number.isNaN(date.getTime()) ? "" : date.toLocaleString([], options);
  return html`<time datetime=${iso}>${text}</time>`;
}
