// Draws the latency account: for each turn, what the time between the caller's last sound and the bot's first went to.
import { h } from "./dom.js";
import { steps } from "./model.js";

export const STEPS = {
  settled: "Words settled",
  decided: "Turn decided",
  sent: "Request sent",
  reply_began: "Reply began",
  replied: "Reply complete",
  audio_sent: "Audio sent",
  audio_heard: "Audio heard",
};
const SMALLEST_SCALE_MS = 500;

function bar(step, scale) {
  const piece = h("span", { class: `piece ${step.name}`, title: `${STEPS[step.name]}: ${step.end} ms` });
  piece.style.setProperty("--from", `${(100 * step.start) / scale}%`);
  piece.style.setProperty("--width", `${(100 * (step.end - step.start)) / scale}%`);
  return piece;
}

function table(number, parts, scale) {
  const rows = parts.map((step) => h("tr", {},
    h("th", { scope: "row" }, STEPS[step.name]),
    h("td", { class: "track" }, h("span", { class: "bar", "aria-hidden": "true" }, bar(step, scale))),
    h("td", { class: "number" }, `+${step.end - step.start}`),
    h("td", { class: "number" }, String(step.end))));
  return h("table", {},
    h("caption", { class: "for-readers" }, `Turn ${number}: milliseconds since the end of speech`),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Step"), h("th", { scope: "col" }, h("span", { class: "for-readers" }, "Bar")),
      h("th", { scope: "col", class: "number" }, "took"), h("th", { scope: "col", class: "number" }, "at ms"))),
    h("tbody", {}, rows));
}

function account(number, parts, scale, open) {
  const total = parts.at(-1)?.end ?? 0;
  return h("li", {}, h("details", { open, "data-turn": number },
    h("summary", {},
      h("span", { class: "turn" }, `Turn ${number}`),
      h("span", { class: "bar", "aria-hidden": "true" }, parts.map((step) => bar(step, scale))),
      h("span", { class: "number" }, `${total} ms`)),
    table(number, parts, scale)));
}

export class Waterfall {
  constructor() {
    this.list = h("ol", { class: "accounts" });
    this.empty = h("p", { class: "dim" });
    this.legend = h("p", { class: "legend", "aria-hidden": "true" },
      Object.entries(STEPS).map(([name, text]) => h("span", {}, h("i", { class: `swatch ${name}` }), text)));
    this.root = h("section", { class: "card waterfall", "aria-label": "Latency by turn" },
      h("h2", {}, "Latency", h("small", {}, "since the end of speech")), this.empty, this.list, this.legend);
  }

  draw(call) {
    this.empty.textContent = call.summary.state === "live" ? "No answer yet." : "Nothing was measured.";
    // An account is replaced when it changes: only then is there something to draw.
    if (this.drawn?.size === call.latency.size && [...call.latency].every(([turn, parts]) => this.drawn.get(turn) === parts)) return;
    this.drawn = new Map(call.latency);
    const accounts = [...call.latency].sort(([one], [other]) => other - one).map(([number, parts]) => [number, steps(parts)]);
    const scale = Math.max(SMALLEST_SCALE_MS, ...accounts.map(([, parts]) => parts.at(-1)?.end ?? 0));
    const open = new Set([...this.list.querySelectorAll("details[open]")].map((one) => one.dataset.turn));
    const focused = document.activeElement?.closest?.("details")?.dataset.turn;
    this.list.replaceChildren(...accounts.map(([number, parts]) => account(number, parts, scale, open.has(String(number)))));
    this.empty.hidden = accounts.length > 0;
    this.legend.hidden = !accounts.length;
    if (focused) this.list.querySelector(`details[data-turn="${focused}"] summary`)?.focus({ preventScroll: true });
  }
}
