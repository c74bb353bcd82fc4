// Buttons and forms that wait for the service. While they wait they ignore clicks but keep the keyboard's focus.

import { Component, html } from "./html.js";
import { attempt, tell } from "./status.js";

const disabledWhile = (isBusy) => (isBusy ? { "aria-disabled": "true" } : {});

class Waiting extends Component {
  state = { isBusy: false };

  /** Runs `work` unless it runs already. */
  async run(work) {
    if (this.state.isBusy) return;
    this.setState({ isBusy: true });
    tell("");
    await attempt(work);
    this.setState({ isBusy: false });
  }
}

/** A button; `run` is called with the click. */
export class Action extends Waiting {
  render({ run, children, ...attributes }, { isBusy }) {
    const click = (event) => this.run(() => run(event));
    return html`<button type="button" ...${disabledWhile(isBusy)} ...${attributes} onClick=${click}>${children}</button>`;
  }
}

/** A form; `run` is called with the form. `children` draws what is in it, given the attributes of its submit button. */
export class Form extends Waiting {
  render({ run, children, ...attributes }, { isBusy }) {
    const submit = (event) => {
      event.preventDefault();
      const form = event.currentTarget;
      return this.run(() => run(form));
    };
    return html`<form ...${attributes} onSubmit=${submit}>${children(disabledWhile(isBusy))}</form>`;
  }
}
