// Lists the call's events, how each was delivered, and what went wrong.
import { callPath, get } from "./api.js";
import { clock, h, plural, said, tag } from "./dom.js";

const REFRESH_MS = 700;
const SHOWN = 100;
const KINDS = { delivered: "good", pending: "now", dead: "bad", withdrawn: "", dropped: "warn", no_endpoint: "warn" };

function row(delivery, attempts) {
  const last = attempts.at(-1);
  const count = Math.max(delivery.attempts ?? 0, attempts.length);
  const fault = last ? last.error : delivery.last_error;
  const status = last ? last.status : delivery.last_status;
  return h("li", { class: "event" },
    h("p", {}, delivery.sequence && h("span", { class: "dim" }, `${delivery.sequence}`),
      h("code", { title: delivery.id }, delivery.type ?? delivery.id),
      delivery.state && tag(delivery.state.replace("_", " "), "State of the delivery", KINDS[delivery.state])),
    h("p", { class: "dim" }, [status && `status ${status}`, last && `${last.ms} ms`, count > 1 && plural(count, "attempt")]
      .filter(Boolean).join(" · ")),
    fault && said("p", "fault", fault));
}

export class Webhooks {
  constructor(id) {
    this.id = id;
    this.deliveries = new Map();
    this.list = h("ol", { class: "events" });
    this.troubles = h("ol", { class: "troubles" });
    this.errors = h("section", { class: "card errors", "aria-label": "Errors", hidden: true }, h("h2", {}, "Errors"), this.troubles);
    this.root = h("section", { class: "card webhooks", "aria-label": "Webhook events" }, h("h2", {}, "Webhook"), this.list);
    this.call = null;
  }

  /** Draw, and look the deliveries up anew soon if there was an attempt that the list does not hold. */
  draw(call) {
    const told = call.attempted;
    const marks = `${told} ${call.troubles.length}`;
    if (marks === this.marks) return;
    if (told && told !== this.told) this.refreshSoon();
    Object.assign(this, { call, told, marks });
    this.render();
  }

  refreshSoon() {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      this.refresh();
    }, REFRESH_MS);
  }

  async refresh() {
    try {
      const page = await get(callPath(this.id, "/deliveries"), { query: { limit: SHOWN } });
      this.deliveries = new Map(page.items.map((delivery) => [delivery.sequence, delivery]));
      this.render();
    } catch (error) {
      if (error.status) this.list.dataset.fault = error.message;
    }
  }

  render() {
    const attempts = this.call?.attempts ?? new Map();
    const known = new Map(this.deliveries);
    for (const [sequence, [first]] of attempts) if (!known.has(sequence)) known.set(sequence, { sequence, type: first.event });
    const rows = [...known.values()].sort((one, other) => other.sequence - one.sequence);
    this.list.replaceChildren(...rows.map((delivery) => row(delivery, attempts.get(delivery.sequence) ?? [])));
    if (!rows.length) this.list.replaceChildren(h("li", { class: "dim" }, "No events."));
    const troubles = this.call?.troubles ?? [];
    this.errors.hidden = troubles.length === 0;
    this.troubles.replaceChildren(...troubles.map((one) => h("li", {}, one.at && clock(one.at), said("span", "", one.text))));
  }

  close() {
    clearTimeout(this.timer);
    this.timer = null;
  }
}
