// The policy as a form. The service names the numbers and their limits.

import { Action, Form } from "./controls.js";
import { capital } from "./format.js";
import { html } from "./html.js";
import { currentFields, edit, previewPolicy, savePolicy } from "./policy.js";
import * as sentences from "./sentences.js";
import { may } from "./store.js";

export function PolicyForm(state) {
  return html`
    <details id="policy" open>
      <summary>Policy</summary>
      <${Form} id="policy-form" onInput=${typed} run=${savePolicy}>
        ${(submit) => html`<${Fields} ...${state} submit=${submit} />`}
      <//>
    </details>
  `;
}

function Fields({ submit, ...state }) {
  const { facts, hasOwnCategories, policyNote, previewSentence, advice } = state;
  const fields = currentFields(state);
  const isFixed = !may("PUT /api/policy");
  const of = { fields, facts, isFixed };
  const general = Object.keys(facts.policy_numbers).filter((name) => !facts.harmful.includes(name.split(".")[0]));
  return html`
    <div id="policy-labels">${facts.harmful.map((label) => html`<${LabelFields} key=${label} label=${label} ...${of} />`)}</div>
    <fieldset>
      <legend>Strikes and limits</legend>
      <div class="fields">${general.map((name) => html`<${NumberField} key=${name} name=${name} ...${of} />`)}</div>
    </fieldset>
    <fieldset>
      <legend>Kinds of harm</legend>
      <div class="fields">${facts.kinds.map((kind) => html`<${KindField} key=${kind} kind=${kind} ...${of} />`)}</div>
    </fieldset>
    <fieldset>
      <legend>Left alone</legend>
      <div class="fields">
        <${NamesField} name="exempt_roles" text="Roles" ...${of} />
        <${NamesField} name="exempt_rooms" text="Rooms" ...${of} />
      </div>
    </fieldset>
    <fieldset id="own-categories" hidden=${!hasOwnCategories}>
      <legend>Own categories</legend>
      <label>${sentences.CATEGORIES}
        <textarea
          name="categories"
          data-testid="categories"
          rows="4"
          placeholder=${sentences.CATEGORIES_EXAMPLE}
          value=${fields.categories}
          disabled=${isFixed}
        ></textarea>
      </label>
    </fieldset>
    <${Advice} advice=${advice} ...${of} />
    <p class="row">
      <${Action} id="policy-preview" data-testid="policy-preview" run=${preview}>Preview<//>
      <button class="primary" data-testid="policy-save" disabled=${isFixed} ...${submit}>Save</button>
      <span id="policy-state" class="muted" role="status">${policyNote}</span>
    </p>
    <p id="preview-sentence" class="result" data-testid="preview-sentence" aria-live="polite" hidden=${!previewSentence}>
      ${previewSentence}
    </p>
  `;
}

/** A preview says first which fields are wrong, as saving does. */
async function preview(event) {
  if (event.target.form.reportValidity()) await previewPolicy();
}

function typed({ target }) {
  if (target.type !== "checkbox") return edit({ [target.name]: target.value });
  const boxes = [...target.form.elements[target.name]];
  return edit({ [target.name]: boxes.filter((box) => box.checked).map((box) => box.value) });
}

function LabelFields({ label, fields, facts, isFixed }) {
  const name = `${label}.actions`;
  const numbers = Object.keys(facts.policy_numbers).filter((one) => one.startsWith(`${label}.`));
  const box = (action) => html`
    <label key=${action}>
      <input type="checkbox" name=${name} value=${action} checked=${fields[name].includes(action)} disabled=${isFixed} /> ${action}
    </label>
  `;
  return html`
    <fieldset>
      <legend>${capital(label)}</legend>
      <div class="fields">
        ${numbers.map((one) => html`<${NumberField} key=${one} name=${one} fields=${fields} facts=${facts} isFixed=${isFixed} />`)}
      </div>
      <div class="row checks" role="group" aria-label=${`Actions on ${label}`}>${facts.actions.map(box)}</div>
    </fieldset>
  `;
}

function NumberField({ name, fields, facts, isFixed }) {
  const limits = facts.policy_numbers[name];
  const key = name.split(".").at(-1);
  const empty = key === "ban_hours" ? sentences.FOR_GOOD : sentences.NEVER;
  return html`
    <label>${sentences.POLICY_NUMBERS[key] ?? key}${" "}
      <input
        type="number"
        name=${name}
        min=${limits.min}
        max=${limits.max}
        step=${limits.is_whole ? 1 : "any"}
        required=${!limits.may_be_empty}
        placeholder=${limits.may_be_empty ? empty : null}
        value=${fields[name]}
        disabled=${isFixed}
      />
    </label>
  `;
}

/** Without a rule the thresholds of the label hold. */
function KindField({ kind, fields, facts, isFixed }) {
  const name = `kinds.${kind}`;
  const option = (rule) => html`<option key=${rule} value=${rule}>${rule}</option>`;
  return html`
    <label>${capital(kind)}${" "}
      <select name=${name} value=${fields[name]} disabled=${isFixed}>
        <option value="">as its label</option>
        ${facts.kind_rules.map(option)}
      </select>
    </label>
  `;
}

function NamesField({ name, text, fields, isFixed }) {
  return html`<label>${text} <input type="text" name=${name} placeholder="one, another" value=${fields[name]} disabled=${isFixed} /></label>`;
}

/** Advice only fills the form in; saving is up to the moderator. */
function Advice({ advice, fields, isFixed }) {
  const use = ({ label, alert_at }) => {
    const act_at = Math.max(alert_at, Number(fields[`${label}.act_at`]));
    edit({ [`${label}.alert_at`]: String(alert_at), [`${label}.act_at`]: String(act_at) });
  };
  const row = (one) => html`
    <li key=${one.label}>${one.sentence}${" "}
      <button type="button" data-testid="use-advice" disabled=${isFixed} onClick=${() => use(one)}>${sentences.useAdvice(one)}</button>
    </li>
  `;
  return html`<ul id="advice" data-testid="advice" hidden=${!advice.length}>${advice.map(row)}</ul>`;
}
