// The try-out chat: its messages and the form that writes one.

import { api } from "./api.js";
import { Form } from "./controls.js";
import { Clock } from "./format.js";
import { Component, createRef, html, memo } from "./html.js";
import { MESSAGE_STATES } from "./sentences.js";
import { store } from "./store.js";

const NEAR_END_PX = 60;

/** Shows a message, or another state of one that is there. */
export function putMessage(message) {
  const { messages } = store.state;
  const isKnown = messages.some((one) => one.id === message.id);
  const next = isKnown ? messages.map((one) => (one.id === message.id ? message : one)) : [...messages, message];
  store.update({ messages: next });
}

export function Chat({ room, community, messages, tab, people, speaker, facts }) {
  return html`
    <section id="chat" class="side" aria-labelledby="room">
      <header class="bar">
        <h1><span class="hash" aria-hidden="true">#</span><span id="room">${room}</span></h1>
        <span id="community" class="muted">${community}</span>
      </header>
      <${Messages} messages=${messages} tab=${tab} />
      <${Compose} people=${people} speaker=${speaker} longest=${facts.longest_message} />
    </section>
  `;
}

function Compose({ people, speaker, longest }) {
  const choose = (event) => store.update({ speaker: event.target.value });
  return html`
    <${Form} id="compose" autocomplete="off" run=${send}>
      ${(submit) => html`
        <label class="as">Speak as${" "}
          <select id="speak-as" data-testid="speak-as" value=${speaker} onChange=${choose}>
            ${people.map((one) => html`<option key=${one.id} value=${one.id}>${one.name}</option>`)}
          </select>
        </label>
        <label class="unseen-text" for="message-input">Message</label>
        <input id="message-input" data-testid="message-input" type="text" maxlength=${longest} placeholder="Write a message" required />
        <button class="primary" data-testid="send" ...${submit}>Send</button>
      `}
    <//>
  `;
}

async function send(form) {
  const input = form.elements["message-input"];
  const text = input.value.trim();
  input.focus();
  if (!text) return;
  await api("POST", "/api/messages", { person: store.state.speaker, text });
  if (input.value.trim() === text) input.value = "";
}

/** The messages, oldest first. Stays at the end while a reader is there. */
class Messages extends Component {
  list = createRef();

  shouldComponentUpdate(next) {
    return next.messages !== this.props.messages || next.tab !== this.props.tab;
  }

  getSnapshotBeforeUpdate() {
    const { scrollHeight, scrollTop, clientHeight } = this.list.current;
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
  }

  componentDidMount() {
    this.list.current.scrollTop = this.list.current.scrollHeight;
  }

  componentDidUpdate(before, _, wasAtEnd) {
    if (wasAtEnd || before.tab !== this.props.tab) this.list.current.scrollTop = this.list.current.scrollHeight;
  }

  render({ messages }) {
    return html`
      <ol ref=${this.list} id="messages" tabindex="0" role="log" aria-label="Messages">
        ${messages.map((message) => html`<${Message} key=${message.id} message=${message} />`)}
      </ol>
    `;
  }
}

const Message = memo(({ message }) => {
  const state = MESSAGE_STATES[message.state];
  return html`
    <li data-testid="chat-message" data-id=${message.id} data-state=${message.state}>
      <p class="who"><b>${message.name}</b>${" "}<${Clock} iso=${message.sent_at} /></p>
      <p class="said">${message.state === "removed" ? html`<s>${message.text}</s>` : message.text}</p>
      ${state ? html`<p class="trace">${state}</p>` : null}
      ${message.note ? html`<p class="note">${message.name}: ${message.note}</p>` : null}
    </li>
  `;
});
