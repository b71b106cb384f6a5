// Shows one call: its transcript as it happens, its latency, its webhook events; and acts on it.
import { address, callPath, get } from "./api.js";
import { ahead, day, duration, h, perFrame, plural, spokenDuration, tag } from "./dom.js";
import { apply, callFrom, emptyCall } from "./model.js";
import { STATES, Stream } from "./stream.js";
import { Actions } from "./actions.js";
import { Transcript } from "./transcript.js";
import { Waterfall } from "./waterfall.js";
import { Webhooks } from "./webhooks.js";

const TICK_MS = 1000;
const FORMATS = { txt: "Text", json: "JSON", vtt: "WebVTT", srt: "SubRip" };

export class CallView {
  constructor(view, id, { scopes, refused }) {
    this.id = id;
    this.refused = refused;
    this.call = emptyCall(id);
    this.ahead = 0;
    this.transcript = new Transcript();
    this.waterfall = new Waterfall();
    this.webhooks = new Webhooks(id);
    this.actions = new Actions(id, scopes);
    this.drawSoon = perFrame(() => this.draw());
    this.build(view);
    this.load();
  }

  build(view) {
    this.title = h("h1", { tabindex: "-1" }, "Call");
    this.facts = h("p", { class: "facts" });
    this.time = h("span", { class: "time" });
    this.link = h("span", { class: "pill", role: "status", "data-state": "off" });
    this.fault = h("p", { class: "fault", role: "alert" });
    this.audio = h("div", { class: "audio" });
    const exports = h("p", { class: "exports" }, h("span", { class: "dim" }, "Export"),
      Object.entries(FORMATS).map(([format, name]) =>
        h("a", { href: address(callPath(this.id, "/export"), { format }), download: true, title: `The transcript as ${name}` }, format)));
    this.more = h("section", { class: "card more", "aria-label": "About the call" }, h("h2", {}, "About"), this.audio, exports);
    this.state = h("pre", { class: "state", dir: "auto", tabindex: "0" });
    this.stateBox = h("details", { hidden: true }, h("summary", {}, "The application's state"), this.state);
    this.more.append(this.stateBox, h("p", { class: "dim id" }, this.id));
    view.replaceChildren(h("article", { class: "call" },
      h("header", {}, h("a", { class: "back", href: "#/live" }, "‹ Calls"), h("div", { class: "row" }, this.title, this.link, this.time), this.facts, this.fault),
      h("div", { class: "left" }, this.transcript.root, this.actions.root),
      h("div", { class: "right" }, this.webhooks.errors, this.waterfall.root, this.webhooks.root, this.more)));
  }

  async load() {
    try {
      this.show(callFrom(await get(callPath(this.id))));
      this.title.focus();
    } catch (error) {
      if (error.status === 401) return this.refused();
      if (error.status !== 404) return this.fail(error);
    }
    if (this.closed) return undefined;
    this.webhooks.refresh();
    if (this.call.summary.state === "live") this.follow();
    this.timer = setInterval(() => this.tick(), TICK_MS);
    return undefined;
  }

  fail(error) {
    this.fault.textContent = error.message;
  }

  show(call) {
    this.call = call;
    this.draw();
  }

  follow() {
    this.stream = new Stream(callPath(this.id, "/events"), {
      told: (event) => this.told(event),
      state: (name, detail) => this.linked(name, detail),
      refused: () => this.stillThere(),
    });
  }

  told(event) {
    if (event.type === "snapshot") this.snapshot(event);
    else apply(this.call, event);
    this.drawSoon();
    if (event.type === "call.ended") this.over();
  }

  /** Everything that was told of the call so far; what had to be left out of it is taken from the record. */
  snapshot(event) {
    this.ahead = ahead(event.at);
    const call = emptyCall(this.id);
    const { summary, parameters, applicationState, recording } = this.call;
    Object.assign(call, { parameters, applicationState, recording, summary: { ...summary, turns: 0 } });
    if (!event.whole) {
      const first = event.events[0]?.at ?? event.at;
      for (const [key, line] of this.call.lines) if (line.at && line.at < first) call.lines.set(key, line);
      call.latency = this.call.latency;
    }
    for (const earlier of event.events) apply(call, earlier);
    this.call = call;
    if (!event.whole) call.summary.turns = Math.max(call.summary.turns, summary.turns ?? 0);
  }

  over() {
    this.stream?.close();
    this.linked("ended");
    this.webhooks.refreshSoon();
  }

  /** Whether the stream should not be tried again: the call is over, there is none, or the user was signed out. */
  async stillThere() {
    try {
      const detail = await get(callPath(this.id));
      if (detail.call.state === "live") return false;
      this.show(callFrom(detail));
      this.over();
    } catch (error) {
      if (error.status === 401) this.refused();
      else if (error.status === 404) this.fail(error);
      else return false;
    }
    return true;
  }

  linked(name, detail) {
    this.link.hidden = name === "ended";
    this.link.dataset.state = name;
    this.link.textContent = STATES[name];
    this.link.title = detail ?? "";
  }

  draw() {
    this.drawFacts();
    if (this.call.summary.state !== "live" && !this.stream) this.linked("ended");
    for (const part of [this.transcript, this.waterfall, this.webhooks, this.actions]) part.draw(this.call);
    this.drawMore();
    this.tick();
  }

  drawFacts() {
    const { summary } = this.call;
    const told = JSON.stringify(summary);
    // What is selected on the page stays selected while words arrive.
    if (told === this.factsTold) return;
    this.factsTold = told;
    this.title.textContent = summary.from ? `${summary.from} → ${summary.to}` : this.id;
    document.title = `${summary.from || this.id} – voicebot console`;
    this.facts.replaceChildren(...[
      tag(summary.state === "live" ? "live" : "ended", "State", summary.state === "live" ? "now" : ""),
      summary.direction && tag(summary.direction, "Direction"),
      summary.mode && tag(summary.mode, "Mode"),
      summary.reason && tag(summary.reason, "Why it ended", "reason"),
      h("span", { class: "dim" }, day(summary.started_at), summary.started_at ? " · " : "", plural(summary.turns ?? 0, "turn")),
    ].filter(Boolean));
  }

  drawMore() {
    const { applicationState: state, recording, summary } = this.call;
    this.stateBox.hidden = state === null;
    if (state !== null) this.state.textContent = JSON.stringify(state, null, 2);
    if (recording && summary.state === "ended" && !this.audio.firstChild) {
      this.audio.append(h("audio", { controls: true, preload: "none", src: address(callPath(this.id, "/recording")),
        "aria-label": "Recording: the caller left, the bot right" }));
    }
  }

  tick() {
    const { summary } = this.call;
    const began = Date.parse(summary.started_at ?? "");
    const ms = summary.duration_ms ?? (Number.isNaN(began) ? 0 : Date.now() + this.ahead - began);
    this.time.textContent = duration(ms);
    this.time.title = spokenDuration(ms);
  }

  close() {
    this.closed = true;
    this.stream?.close();
    this.webhooks.close();
    clearInterval(this.timer);
  }
}
