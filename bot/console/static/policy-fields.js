// A policy as the fields of a form, by name, and back. Values are texts as typed; those of actions are lists.

/** The part of a policy that a field's name leads to, and the last name: "hate.act_at" is `act_at` of `policy.hate`. */
function place(policy, name) {
  const [section, rest] = name.split(".");
  return rest ? [policy[section], rest] : [policy, section];
}

export function fieldsOf(policy, facts) {
  const fields = {};
  for (const name of Object.keys(facts.policy_numbers)) {
    const [section, key] = place(policy, name);
    fields[name] = String(section[key] ?? "");
  }
  for (const label of facts.harmful) fields[`${label}.actions`] = policy[label].actions;
  for (const kind of facts.kinds) fields[`kinds.${kind}`] = policy.kinds[kind] ?? "";
  fields.exempt_roles = policy.exempt_roles.join(", ");
  fields.exempt_rooms = policy.exempt_rooms.join(", ");
  fields.categories = policy.categories.map(lineOf).join("\n");
  return fields;
}

/** The policy with the values of the fields; what no field shows stays as it is. */
export function policyFrom(policy, fields, facts) {
  const next = structuredClone(policy);
  for (const name of Object.keys(facts.policy_numbers)) {
    const [section, key] = place(next, name);
    section[key] = fields[name] === "" ? null : Number(fields[name]);
  }
  for (const label of facts.harmful) next[label].actions = fields[`${label}.actions`];
  next.kinds = Object.fromEntries(facts.kinds.map((kind) => [kind, fields[`kinds.${kind}`]]).filter(([, rule]) => rule));
  next.exempt_roles = namesIn(fields.exempt_roles);
  next.exempt_rooms = namesIn(fields.exempt_rooms);
  next.categories = categoriesIn(fields.categories);
  return next;
}

const namesIn = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);
const lineOf = ({ name, description, alert_at }) => [name, description, alert_at ?? ""].join(" | ");

/** One category a line. A threshold that is no number is left for the service to refuse. */
function categoriesIn(text) {
  return text.split("\n").filter((line) => line.trim()).map((line) => {
    const [name, description = "", from = ""] = line.split("|").map((part) => part.trim());
    return { name, description, alert_at: from === "" ? null : Number.isNaN(Number(from)) ? from : Number(from) };
  });
}
