// One case as a card: the message, what the model made of it, what was done, and the moderator's buttons.

import { answerCase, toggleChoices, toggleExplanation } from "./cases.js";
import { Action } from "./controls.js";
import { Evidence } from "./evidence.js";
import { Clock, percent } from "./format.js";
import { Component, createRef, differ, html } from "./html.js";
import * as sentences from "./sentences.js";

/** Keeps the keyboard's focus on the card when the button that had it goes or can no longer be pressed. */
export class Card extends Component {
  card = createRef();

  shouldComponentUpdate(next) {
    return differ(this.props, next);
  }

  getSnapshotBeforeUpdate() {
    return this.card.current.contains(document.activeElement);
  }

  componentDidUpdate(_before, _state, hadFocus) {
    const focused = document.activeElement;
    if (!hadFocus || (this.card.current.contains(focused) && !focused.disabled)) return;
    this.card.current.querySelector('[data-testid="wrong"]')?.focus();
  }

  render({ item, unfolded = {}, facts, person, mayAnswer }) {
    const answer = sentences.answer(item, person);
    return html`
      <li
        ref=${this.card}
        class=${`card ${item.unread ? "unread" : item.label}`}
        data-testid="case"
        data-id=${item.id}
        data-state=${item.state}
        data-band=${item.band}
      >
        <header>
          <${Heading} item=${item} />
          <span class="when muted"><${Clock} iso=${item.created_at} /></span>
        </header>
        <blockquote><p>${item.text}</p><footer>${item.author}</footer></blockquote>
        ${item.unread ? null : html`<${Probabilities} item=${item} labels=${facts.labels} />`}
        <p class="reason">${item.reason}</p>
        <p class=${`done${item.enforced && item.actions.length ? " enforced" : ""}`}>${sentences.done(item)}</p>
        ${item.edited ? html`<p class="muted">${item.edited}</p>` : null}
        ${answer ? html`<p class=${`history ${item.state}`}>${answer}</p>` : null}
        ${item.unread || item.hidden ? null : html`<${Buttons} item=${item} unfolded=${unfolded} mayAnswer=${mayAnswer} />`}
        ${unfolded.choosing ? html`<${Choices} item=${item} labels=${facts.labels} />` : null}
        ${unfolded.explaining ? html`<${Evidence} item=${item} explanation=${unfolded.explanation} />` : null}
        ${item.unread ? null : html`<p class="muted small">adapter ${item.adapter}</p>`}
      </li>
    `;
  }
}

/** What the model made of it, unless it could not read it. */
function Heading({ item }) {
  if (item.unread) return html`<span class="label" data-testid="case-label">${item.title}</span>`;
  return html`
    <span class=${`label ${item.label}`} data-testid="case-label">${item.label}</span>
    <b class="number">${percent(item.score, 1)}</b>
    ${item.kind ? html`<span>· <span data-testid="case-kind">${item.kind}</span></span>` : null}
    <span class="muted">${sentences.band(item)}</span>
  `;
}

function Probabilities({ item, labels }) {
  const row = (label) => {
    const share = item.probabilities[label] ?? 0;
    return html`
      <div key=${label} class=${`probability ${label}${label === item.label ? " chosen" : ""}`}>
        <span>${label}</span>
        <progress max="1" value=${share} aria-label=${`Probability of ${label}`}></progress>
        <span class="number">${percent(share)}</span>
      </div>
    `;
  };
  return html`<div class="probabilities">${labels.map(row)}</div>`;
}

function Buttons({ item, unfolded, mayAnswer }) {
  const answer = (verb) => () => answerCase(item.id, verb);
  const explain = html`
    <button type="button" data-testid="explain" aria-expanded=${String(!!unfolded.explaining)} onClick=${() => toggleExplanation(item.id)}>
      Explain
    </button>
  `;
  if (!mayAnswer) return html`<div class="row">${explain}</div>`;
  return html`
    <div class="row">
      <${Action} data-testid="confirm" disabled=${item.state === "confirmed"} run=${answer("confirm")}>👍 Correct<//>
      <button type="button" data-testid="wrong" aria-expanded=${String(!!unfolded.choosing)} onClick=${() => toggleChoices(item.id)}>
        👎 Wrong label
      </button>
      ${item.undoable ? html`<${Action} data-testid="undo" run=${answer("undo")}>Undo<//>` : null}
      ${explain}
    </div>
  `;
}

function Choices({ item, labels }) {
  const choice = (label) => html`
    <${Action}
      key=${label}
      data-testid=${`choose-${label}`}
      class=${`label ${label}`}
      disabled=${label === item.label && item.state !== "corrected"}
      run=${() => answerCase(item.id, "correct", { label })}
    >${label}<//>
  `;
  return html`
    <div class="row choices" role="group" aria-label="Which label is right?">
      <span>${sentences.WHICH_LABEL}</span> ${labels.map(choice)}
    </div>
  `;
}
