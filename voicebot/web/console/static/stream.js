// Follows a stream of live events, over broken connections, without a gap or a double.
import { address } from "./api.js";

const TYPES = [
  "call.opened", "stream.opened", "call.resumed", "partial", "turn.completed", "turn.provisional", "turn.retracted",
  "overheard", "digit", "webhook.attempt", "reply", "reply.missing", "bot.started", "bot.said", "bot.resumed", "latency", "trouble",
  "call.ended", "snapshot", "reset", "dropped",
];
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15000;
// A browser opens six connections to a service, for all its tabs together: those that nobody sees let go of theirs.
const UNSEEN_MS = 30000;

export const STATES = {
  off: "not connected",
  connecting: "connecting …",
  connected: "connected",
  reconnecting: "reconnecting …",
  dropped: "dropped, reconnecting …",
  paused: "paused while unseen",
  ended: "ended",
};

/** Splits `<boot>-<n>`. */
export function parseId(id) {
  const cut = id.lastIndexOf("-");
  return { boot: id.slice(0, cut), number: Number(id.slice(cut + 1)) };
}

export class Stream {
  /** `told(event)` gets every event once; `state(name, detail)` how the connection is; `refused()` when it is not let in. */
  constructor(path, { told, state, refused }) {
    this.path = path;
    this.told = told;
    this.state = state;
    this.refused = refused;
    this.boot = null;
    this.last = -1;
    this.wait = FIRST_WAIT_MS;
    this.closed = false;
    this.wasDropped = false;
    this.seen = () => this.visibility();
    document.addEventListener("visibilitychange", this.seen);
    this.state("connecting");
    this.open();
  }

  visibility() {
    clearTimeout(this.unseen);
    if (document.hidden) this.unseen = setTimeout(() => this.pause(), UNSEEN_MS);
    else if (this.paused) this.open();
  }

  pause() {
    this.paused = true;
    clearTimeout(this.timer);
    this.source.close();
    this.state("paused");
  }

  open() {
    this.paused = false;
    // The browser tells by itself where it was when it comes back; a new source says it in the address.
    const query = this.boot === null ? {} : { last_event_id: `${this.boot}-${this.last}` };
    this.source = new EventSource(address(this.path, query), { withCredentials: true });
    this.source.onopen = () => this.opened();
    this.source.onerror = () => this.failed();
    for (const type of TYPES) this.source.addEventListener(type, (message) => this.message(type, message));
  }

  opened() {
    this.wait = FIRST_WAIT_MS;
    this.wasDropped = false;
    this.state("connected");
  }

  failed() {
    if (this.closed) return;
    if (!this.wasDropped) this.state("reconnecting");
    // The browser comes back by itself and says where it was, unless it was refused.
    if (this.source.readyState !== EventSource.CLOSED) return;
    this.source.close();
    this.timer = setTimeout(() => this.again(), this.wait);
    this.wait = Math.min(2 * this.wait, LONGEST_WAIT_MS);
  }

  async again() {
    if (await this.refused?.()) return this.close();
    if (!this.closed && !this.paused) this.open();
    return undefined;
  }

  message(type, message) {
    if (this.closed) return;
    const data = message.data ? JSON.parse(message.data) : {};
    if (type === "dropped") {
      this.wasDropped = true;
      this.state("dropped", data.detail ?? data.reason);
      return;
    }
    if (type !== "snapshot" && type !== "reset" && !this.isNew(message.lastEventId)) return;
    if (type === "snapshot") this.startAt(message.lastEventId);
    if (type !== "reset") this.told({ type, ...data });
  }

  startAt(id) {
    if (!id) return;
    const { boot, number } = parseId(id);
    this.boot = boot;
    this.last = number;
  }

  /** Whether an event was not told before; another boot counts anew. */
  isNew(id) {
    if (!id) return true;
    const { boot, number } = parseId(id);
    if (boot === this.boot && number <= this.last) return false;
    this.boot = boot;
    this.last = number;
    return true;
  }

  close() {
    this.closed = true;
    document.removeEventListener("visibilitychange", this.seen);
    clearTimeout(this.timer);
    clearTimeout(this.unseen);
    this.source.close();
  }
}
