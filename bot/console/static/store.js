// All that the page knows, in one object that is never changed in place: `update` makes the next one.

/** What is forgotten when another community is shown. */
const OF_ONE_COMMUNITY = {
  unfolded: {}, // case id -> {choosing, explaining, explanation}: what is open on its card
  draft: null, // the policy form as typed; null while it shows the saved policy
  policyNote: "",
  previewSentence: "",
  notice: "",
  changes: null,
  previewedCard: undefined, // undefined: not asked for; null: there is no card
};

const EMPTY = {
  ...OF_ONE_COMMUNITY,
  csrf: "",
  community: "", // "": the first that the person may look at
  stream: null,
  isLoaded: false,
  person: { communities: [] },
  may: new Set(), // the routes that the person may call here, as "PUT /api/policy"
  hasOwnCategories: false,
  facts: null,
  status: { text: "", isError: false },
  announcement: "",
  tab: "chat",
  unseen: 0,
  room: "",
  people: [],
  speaker: "",
  messages: [],
  cases: [], // newest first
  extraCards: 0, // shown beyond the first page
  policy: null,
  isPaused: false,
  advice: [],
  adviceTimer: 0,
  adapter: "",
  adapters: [],
  refresh: null,
  norm: null,
  audit: {},
  stages: null,
  platforms: [],
  previewLanguage: "",
};

class Store {
  state = EMPTY;
  #listeners = [];

  /** Takes over the changed values and tells every listener. */
  update(change) {
    this.state = { ...this.state, ...change };
    for (const listener of this.#listeners) listener(this.state);
  }

  listen(listener) {
    this.#listeners.push(listener);
  }
}

export const store = new Store();
export const forgetCommunity = () => store.update(OF_ONE_COMMUNITY);

/** Whether the signed-in person may call a route in the community on show. */
export const may = (route) => store.state.may.has(route);
