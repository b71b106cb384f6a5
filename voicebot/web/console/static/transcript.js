// Draws the transcript: settled lines in a log that is read out, and below it the words of this moment, which are not.
import { clock, h, said, tag } from "./dom.js";

const REASONS = {
  endpoint: "The recogniser took it for the end of the utterance",
  finalize: "Ended by silence",
  digits: "Ended by keys",
  max_turn: "Longer than a turn may be",
  command: "Ended by command",
  hangup: "The last words of a caller who has gone",
};
const WHO = { caller: "Caller", agent: "Agent" };
const ASIDES = { backchannel: "listening sign", echo: "the bot’s own voice" };
const NEAR_END_PX = 48;

function about(line, who) {
  return h("p", { class: "about" }, h("b", {}, who), line.at ? clock(line.at) : null);
}

function turnTags(line) {
  const { entry } = line;
  return [
    ...line.languages.map((language) => tag(language, `Language: ${language}`)),
    ...line.speakers.map((speaker) => tag(`speaker ${speaker}`, "Speaker, as told apart by voice")),
    line.digits && tag(`keys ${line.digits}`, "Keys pressed during the turn"),
    entry && tag(`${entry.kind.replace("_", "/")}: ${entry.value || "–"}`,
      entry.complete ? "What was expected, complete" : "What was expected, not complete", entry.complete ? "good" : "warn"),
    line.revision > 1 && tag(`version ${line.revision}`, "Told before, and taken back, since the caller went on"),
    line.reason && tag(line.reason, REASONS[line.reason] ?? line.reason, "reason"),
  ].filter(Boolean);
}

function turn(line) {
  const head = about(line, WHO[line.track] ?? line.track);
  head.append(h("span", { class: "number" }, `turn ${line.number}`), ...turnTags(line));
  return [
    head,
    ...line.retracted.map((text) => retracted(text)),
    said("p", "words", line.text || (line.digits ? "" : "…")),
    line.translation && h("p", { class: "translation" }, tag("translation", "In the other language"), said("span", "", line.translation)),
  ];
}

function retracted(text) {
  return h("p", { class: "retracted" }, tag("retracted", "Told provisionally, then the caller went on"), said("del", "", text));
}

function bot(line) {
  const head = about(line, "Bot");
  if (line.unfinished) head.append(tag("unfinished", "The call ended while it was spoken", "warn"));
  else if (line.speaking) head.append(tag("speaking", "The caller hears this now", "now"));
  if (line.interrupted) head.append(tag("interrupted", "The caller spoke over it", "warn"));
  else if (!line.speaking && line.unheard) head.append(tag("cut off", "Not all of it was heard", "warn"));
  const unheard = line.speaking ? null : line.unheard;
  return [
    head,
    h("p", { class: "words", dir: "auto" },
      line.speaking ? h("span", {}, line.text) : h("span", { class: "heard" }, line.heard),
      unheard && h("span", { class: "for-readers" }, " Not heard: "),
      unheard && h("del", { class: "unheard", title: "Not heard by the caller" }, unheard)),
  ];
}

function aside(line) {
  return [about(line, "Caller"), h("p", { class: "words" }, tag(ASIDES[line.aside] ?? line.aside, "Asks for no answer"),
    said("span", "", line.text))];
}

function noteLine(line) {
  return [h("p", { class: "about" }, line.at ? clock(line.at) : null, said("span", "", line.text))];
}

const DRAW = { turn, bot, aside, note: noteLine };

function element(line) {
  const side = line.kind === "turn" ? line.track : line.severity ?? "";
  return h("li", { class: `line ${line.kind} ${side}`, "data-key": line.key }, ...DRAW[line.kind](line));
}

export class Transcript {
  constructor() {
    this.log = h("ol", { class: "log", role: "log", "aria-label": "Transcript", "aria-live": "polite", "aria-relevant": "additions", tabindex: "0" });
    this.now = h("div", { class: "moment", role: "group", "aria-label": "Being said now", "aria-live": "off" });
    this.root = h("section", { class: "card transcript", "aria-label": "Conversation" }, this.log, this.now);
    this.drawn = new Map();
  }

  draw(call) {
    const atEnd = this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_END_PX;
    let changed = false;
    for (const [key, { node }] of this.drawn) {
      if (!call.lines.has(key)) { node.remove(); this.drawn.delete(key); changed = true; }
    }
    let place = this.log.firstElementChild; // the order is the call's: a snapshot may bring lines before those drawn from the record
    for (const [key, line] of call.lines) {
      const before = this.drawn.get(key)?.node;
      changed = this.line(key, line) || changed;
      const { node } = this.drawn.get(key);
      if (before === place) place = node;
      if (node === place) place = node.nextElementSibling;
      else this.log.insertBefore(node, place);
    }
    if (changed && atEnd) this.log.scrollTop = this.log.scrollHeight;
    this.log.dataset.empty = String(call.lines.size === 0);
    this.drawNow(call);
  }

  /** Draw a line that is new or has changed; the value is replaced when it changes, so identity tells. */
  line(key, line) {
    const known = this.drawn.get(key);
    if (known?.line === line) return false;
    const node = element(line);
    known?.node.replaceWith(node);
    this.drawn.set(key, { line, node });
    return true;
  }

  drawNow(call) {
    const live = call.summary.state === "live";
    this.now.hidden = !live;
    if (!live) return;
    const open = [...call.open].map(([track, words]) => h("p", { class: `words ${track}` }, h("b", {}, WHO[track] ?? track),
      said("span", "settled", words.settled), said("i", "tentative", words.tentative)));
    const offered = call.offered && h("p", { class: "words offered" }, h("b", {}, "Caller"),
      tag("provisional", "Told to the application; whether the caller has finished is not sure yet", "warn"),
      said("span", "settled", call.offered.text));
    const back = call.retracted.map((one) => retracted(one.text));
    const quiet = !open.length && !offered && !back.length && h("p", { class: "dim" }, "Nobody is speaking.");
    this.now.replaceChildren(...[...back, offered, ...open, quiet].filter(Boolean));
    this.now.scrollTop = this.now.scrollHeight;
  }
}
