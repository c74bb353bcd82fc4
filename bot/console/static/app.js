// The page's start: draws the store's state, follows the service's events, and asks for figures that no event brings.

import { communityName, followFigures, followPlatforms } from "./community.js";
import { follow } from "./feed.js";
import { html, render } from "./html.js";
import { Page } from "./page.js";
import { store } from "./store.js";

const FIGURES_EVERY_MS = 30_000;
const PLATFORMS_EVERY_MS = 5_000;

/** A listener that draws once for all changes made in one go. */
function screen(root) {
  let isDue = false;
  const draw = () => {
    isDue = false;
    if (store.state.isLoaded) document.title = `Domovoi: ${communityName(store.state)}`;
    render(html`<${Page} state=${store.state} />`, root);
  };
  return () => {
    if (!isDue) queueMicrotask(draw);
    isDue = true;
  };
}

store.listen(screen(document.getElementById("root")));
store.update({
  csrf: document.querySelector('meta[name="csrf-token"]').content,
  community: new URLSearchParams(location.search).get("community") ?? "",
});
follow();
setInterval(followFigures, FIGURES_EVERY_MS);
setInterval(followPlatforms, PLATFORMS_EVERY_MS);
