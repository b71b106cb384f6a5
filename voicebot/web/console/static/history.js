// Searches the calls that are kept: by what was said, by number, by day; page by page.
import { get } from "./api.js";
import { day, duration, freshId, h, said, tag } from "./dom.js";

const PAGE = 50;

function field(label, input) {
  const id = freshId("field");
  input.id = id;
  return h("p", { class: "field" }, h("label", { for: id }, label), input);
}

function select(name, options) {
  return h("select", { name }, Object.entries(options).map(([value, text]) => h("option", { value }, text)));
}

/** A local day as an instant; `until` names the first day that is left out. */
function instant(value, days = 0) {
  if (!value) return "";
  const date = new Date(`${value}T00:00:00`);
  date.setDate(date.getDate() + days);
  return date.toISOString();
}

function callRow(call) {
  return h("tr", {},
    h("td", {}, h("a", { href: `#/calls/${encodeURIComponent(call.id)}` }, call.from || call.id), h("span", { class: "dim" }, " → ", call.to)),
    h("td", {}, day(call.started_at)),
    h("td", { class: "number" }, call.duration_ms === null ? "–" : duration(call.duration_ms)),
    h("td", { class: "number" }, String(call.turns)),
    h("td", {}, call.state === "live" ? tag("live", "Under way", "now") : tag(call.reason ?? "no end", "Why it ended", "reason"),
      call.mode === "transcribe" && tag("transcribe", "Mode")));
}

function passage(hit) {
  const who = hit.kind === "utterance" ? "Bot" : hit.track === "agent" ? "Agent" : "Caller";
  return h("li", { class: "card" },
    h("p", { class: "about" }, h("a", { href: `#/calls/${encodeURIComponent(hit.call)}` }, hit.from || hit.call),
      h("b", {}, who), hit.number && h("span", { class: "dim" }, `turn ${hit.number}`), h("span", { class: "dim" }, day(hit.at))),
    h("p", { class: "words", dir: "auto" }, hit.snippet.map((part) => (part.match ? h("mark", {}, part.text) : part.text))));
}

export class History {
  constructor(view, { refused }) {
    this.refused = refused;
    this.query = h("input", { type: "search", name: "q", placeholder: "words, or \"a phrase\"" });
    this.kind = select("kind", { calls: "Calls", passages: "Passages" });
    this.filters = h("fieldset", { class: "filters" }, h("legend", { class: "for-readers" }, "Filters"),
      field("Number", h("input", { type: "search", name: "number", inputmode: "tel", placeholder: "+41445550101" })),
      field("From", h("input", { type: "date", name: "since" })),
      field("To", h("input", { type: "date", name: "until" })),
      field("State", select("state", { "": "any", live: "live", ended: "ended" })),
      field("Direction", select("direction", { "": "any", inbound: "inbound", outbound: "outbound" })));
    this.form = h("form", { role: "search", "aria-label": "Calls", onsubmit: (event) => { event.preventDefault(); this.search(); } },
      h("div", { class: "row" }, field("Said", this.query), field("Show", this.kind), h("button", { type: "submit", class: "main" }, "Search")),
      this.filters);
    this.told = h("p", { class: "dim", role: "status" });
    this.fault = h("p", { class: "fault", role: "alert" });
    this.rows = h("tbody");
    this.table = h("table", { class: "results" }, h("caption", { class: "for-readers" }, "Calls, newest first"),
      h("thead", {}, h("tr", {}, ["Call", "Began", "Duration", "Turns", "End"].map((name, place) =>
        h("th", { scope: "col", class: place === 2 || place === 3 ? "number" : null }, name)))), this.rows);
    this.hits = h("ol", { class: "passages" });
    this.next = h("button", { type: "button", hidden: true, onclick: () => this.more() }, "More");
    view.replaceChildren(h("article", { class: "history" }, h("h1", { tabindex: "-1" }, "History"), this.form, this.fault, this.told,
      this.table, this.hits, this.next));
    this.kind.addEventListener("change", () => this.suit());
    this.suit();
    this.search();
    view.querySelector("h1").focus();
  }

  /** Passages are found by words alone. */
  suit() {
    this.filters.disabled = this.kind.value === "passages";
    this.query.required = this.kind.value === "passages";
  }

  asked() {
    const values = Object.fromEntries(new FormData(this.form));
    if (values.kind === "passages") return { path: "search", query: { q: values.q, limit: PAGE } };
    const { q, number, state, direction } = values;
    return { path: "calls", query: { q, number, state, direction, since: instant(values.since), until: instant(values.until, 1), limit: PAGE } };
  }

  search() {
    this.current = this.asked();
    this.count = 0;
    this.rows.replaceChildren();
    this.hits.replaceChildren();
    return this.load();
  }

  async more() {
    const first = this.rows.children.length + this.hits.children.length;
    await this.load(this.cursor);
    [...this.rows.children, ...this.hits.children][first]?.querySelector("a")?.focus();
  }

  async load(cursor) {
    this.abort?.abort();
    this.abort = new AbortController();
    const { path, query } = this.current;
    this.next.disabled = true;
    this.fault.textContent = "";
    try {
      this.add(path, await get(path, { query: { ...query, cursor }, signal: this.abort.signal }));
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error.status === 401) this.refused();
      this.fault.textContent = error.message;
      this.told.textContent = "";
    } finally {
      this.next.disabled = false;
    }
  }

  add(path, page) {
    const passages = path === "search";
    this.table.hidden = passages;
    this.hits.hidden = !passages;
    if (passages) this.hits.append(...page.items.map(passage));
    else this.rows.append(...page.items.map(callRow));
    this.count += page.items.length;
    this.cursor = page.next;
    this.next.hidden = !page.next;
    const kind = passages ? ["passage", "passages"] : ["call", "calls"];
    this.told.textContent = this.count ? `${this.count}${page.next ? " or more" : ""} ${kind[this.count === 1 ? 0 : 1]}` : "Nothing found.";
  }

  close() {
    this.abort?.abort();
  }
}
