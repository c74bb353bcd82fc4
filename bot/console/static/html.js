// The view library: `html` makes elements in which every value is text or an attribute, never markup.

import htm from "./vendor/htm.mjs";
import { Component, h } from "./vendor/preact.mjs";

export { Component, createRef, render } from "./vendor/preact.mjs";

export const html = htm.bind(h);

/** A component that is drawn again only when one of its properties is another value. */
export function memo(draw) {
  return class extends Component {
    shouldComponentUpdate(next) {
      return differ(this.props, next);
    }

    render(properties) {
      return draw(properties);
    }
  };
}

/** Whether two sets of properties differ in any value. */
export function differ(before, after) {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].some((name) => before[name] !== after[name]);
}
