// Lists the calls under way, with their state, duration and last words.
import { ahead, duration, h, perFrame, plural, said } from "./dom.js";
import { Stream } from "./stream.js";

const TICK_MS = 1000;
const KEPT_ENDED = 5;
const LAST = {
  partial: (event) => [event.settled, event.tentative].filter(Boolean).join(""),
  "turn.completed": (event) => event.turn.text,
  "bot.started": (event) => event.text,
};

export class LiveCalls {
  /** `refused()` tells whether the user was signed out. */
  constructor(side, { linked, refused }) {
    this.calls = new Map();
    this.ahead = 0;
    this.rows = new Map();
    this.list = h("ul", { class: "calls" });
    this.count = h("small", { role: "status" });
    this.empty = h("p", { class: "dim empty" }, "No call is under way.");
    side.replaceChildren(h("h2", {}, "Live calls", this.count), this.empty, this.list);
    this.drawSoon = perFrame(() => this.draw());
    this.stream = new Stream("events", { told: (event) => this.told(event), state: linked, refused });
    this.timer = setInterval(() => this.tick(), TICK_MS);
  }

  told(event) {
    if (event.type === "snapshot") this.begin(event);
    else if (event.type === "call.opened") this.opened(event);
    else this.changed(event);
    this.drawSoon();
  }

  begin(event) {
    this.ahead = ahead(event.at);
    this.calls = new Map(event.calls.map((call) => [call.id, { ...call, last: "" }]));
  }

  /** A call that was dialled is known before it is answered. */
  opened({ call: id, from, to, direction, mode, at }) {
    this.calls.set(id, { started_at: at, turns: 0, last: "", ...this.calls.get(id), id, from, to, direction, mode, state: "live" });
  }

  changed(event) {
    const call = this.calls.get(event.call);
    if (!call) return;
    const words = LAST[event.type]?.(event);
    if (words) Object.assign(call, { last: words, who: event.type === "bot.started" ? "Bot" : "" });
    if (event.type === "turn.completed") call.turns += 1;
    if (event.type === "trouble" || event.type === "reply.missing") call.trouble = true;
    if (event.type === "call.ended") {
      Object.assign(call, { state: "ended", duration_ms: event.duration_ms, reason: event.reason, turns: event.turns });
      const ended = [...this.calls.values()].filter((one) => one.state === "ended");
      for (const old of ended.slice(0, Math.max(0, ended.length - KEPT_ENDED))) this.calls.delete(old.id);
    }
  }

  draw() {
    const calls = [...this.calls.values()].sort((one, other) => (one.state === "ended") - (other.state === "ended")
      || String(other.started_at).localeCompare(String(one.started_at)));
    for (const [id, row] of this.rows) if (!this.calls.has(id)) { row.root.remove(); this.rows.delete(id); }
    calls.forEach((call, place) => {
      const row = this.rows.get(call.id) ?? this.row(call);
      this.fill(row, call);
      if (this.list.children[place] !== row.root) this.list.insertBefore(row.root, this.list.children[place] ?? null);
    });
    const live = calls.filter((call) => call.state === "live").length;
    if (this.count.textContent !== String(live)) this.count.textContent = String(live);
    this.empty.hidden = calls.length > 0;
    this.mark();
    this.tick();
  }

  row(call) {
    const row = { who: h("b", {}), time: h("span", { class: "time" }), about: h("span", { class: "dim" }), last: said("span", "last", "") };
    row.link = h("a", { href: `#/calls/${encodeURIComponent(call.id)}` },
      h("span", { class: "first" }, row.who, row.time), row.about, row.last);
    row.root = h("li", {}, row.link);
    this.rows.set(call.id, row);
    return row;
  }

  fill(row, call) {
    row.root.dataset.state = call.state;
    row.root.dataset.trouble = String(Boolean(call.trouble));
    set(row.who, call.direction === "outbound" ? call.to : call.from);
    set(row.last, call.last ? `${call.who ? `${call.who}: ` : ""}${call.last}` : "…");
    const other = call.direction === "outbound" ? call.from : call.to;
    const parts = [`→ ${other}`, call.state === "live" ? plural(call.turns, "turn") : `ended: ${call.reason}`,
      call.mode === "transcribe" && "transcribed", call.trouble && "trouble"];
    set(row.about, parts.filter(Boolean).join(" · "));
  }

  /** Say which call is shown. */
  choose(id) {
    this.chosen = id;
    this.mark();
  }

  mark() {
    for (const [id, row] of this.rows) {
      if (id === this.chosen) row.link.setAttribute("aria-current", "page");
      else row.link.removeAttribute("aria-current");
    }
  }

  tick() {
    for (const [id, row] of this.rows) {
      const call = this.calls.get(id);
      set(row.time, duration(call.duration_ms ?? Date.now() + this.ahead - Date.parse(call.started_at)));
    }
  }

  close() {
    this.stream.close();
    clearInterval(this.timer);
  }
}

function set(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
