// Draws how good each adapter was on held-out texts, oldest left: one line per figure, the one that serves is filled.

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 560, HEIGHT = 150, LEFT = 44, RIGHT = 12, TOP = 12, BOTTOM = 26;
const LINES = [["macro_f1", "macro-F1"], ["balanced_accuracy", "balanced accuracy"]];

function shape(tag, attributes, text = "") {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.textContent = text;
  return node;
}

/** An SVG element for adapters in the order of /api/adapters (newest first). */
export function drawHistory(adapters) {
  const shown = adapters.filter((one) => typeof one.macro_f1 === "number").reverse();
  const values = shown.flatMap((one) => LINES.map(([key]) => one[key]));
  const low = Math.floor(Math.min(...values) * 20 - 0.5) / 20, high = Math.ceil(Math.max(...values) * 20 + 0.5) / 20;
  const x = (i) => (shown.length === 1 ? (LEFT + WIDTH - RIGHT) / 2 : LEFT + (i * (WIDTH - LEFT - RIGHT)) / (shown.length - 1));
  const y = (value) => TOP + ((high - value) / (high - low)) * (HEIGHT - TOP - BOTTOM);
  const svg = shape("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "figures", role: "img" });
  svg.append(shape("title", {}, `Figures of ${shown.length} adapters on held-out texts`));
  for (const value of [low, (low + high) / 2, high]) {
    svg.append(shape("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value), class: "grid" }));
    svg.append(shape("text", { x: LEFT - 6, y: y(value) + 4, class: "tick end" }, value.toFixed(2)));
  }
  LINES.forEach(([key, name], n) => {
    svg.append(shape("polyline", { points: shown.map((one, i) => `${x(i)},${y(one[key])}`).join(" "), class: `line line-${n}` }));
    shown.forEach((one, i) => {
      const dot = shape("circle", { cx: x(i), cy: y(one[key]), r: one.serving ? 5 : 3, class: `dot line-${n}` });
      dot.append(shape("title", {}, `${one.version}: ${name} ${one[key].toFixed(3)}${one.serving ? ", serving" : ""}`));
      svg.append(dot);
    });
    svg.append(shape("text", { x: LEFT + n * 110, y: HEIGHT - 6, class: `tick line-${n}` }, `● ${name}`));
  });
  return svg;
}
