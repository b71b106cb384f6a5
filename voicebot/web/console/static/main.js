// Starts the console: who is signed in, which page is asked for, and what is shown.
import { session } from "./api.js";
import { CallView } from "./call.js";
import { h } from "./dom.js";
import { History } from "./history.js";
import { LiveCalls } from "./live.js";
import { signIn } from "./signin.js";
import { STATES } from "./stream.js";

const part = (id) => document.getElementById(id);
const [view, side, nav, link, leave, frame] = ["view", "side", "nav", "link", "leave", "frame"].map(part);
let user = null;
let live = null;
let shown = null;

function linked(name, detail) {
  link.hidden = false;
  link.dataset.state = name;
  link.textContent = STATES[name];
  link.title = detail ?? "";
}

function welcome() {
  document.title = "voicebot console";
  view.replaceChildren(h("div", { class: "welcome" }, h("h1", { tabindex: "-1" }, "Live calls"),
    h("p", { class: "dim" }, "Choose a call to see what is being said, how fast the bot answers, and to act on it.")));
  return { close() {} };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not what the console writes: somebody's own address
  }
}

function open(route) {
  const [page, id] = route.replace(/^#\/?/, "").split("/").map(decoded);
  frame.dataset.page = page === "calls" && id ? "call" : page === "history" ? "history" : "live";
  for (const entry of nav.querySelectorAll("a")) {
    if (entry.dataset.page === frame.dataset.page) entry.setAttribute("aria-current", "page");
    else if (entry.dataset.page === "live" && frame.dataset.page === "call") entry.setAttribute("aria-current", "true");
    else entry.removeAttribute("aria-current");
  }
  live.choose(frame.dataset.page === "call" ? id : null);
  if (frame.dataset.page === "call") return new CallView(view, id, { scopes: user.scopes, refused: signedOut });
  if (frame.dataset.page === "history") return new History(view, { refused: signedOut });
  return welcome();
}

function route() {
  shown?.close();
  shown = user ? open(location.hash) : null;
}

function signedIn(who) {
  user = { name: who?.name ?? "", scopes: who?.scopes ?? [] };
  for (const one of [nav, leave, side]) one.hidden = false;
  leave.title = user.name ? `Signed in as ${user.name}` : "";
  live = new LiveCalls(side, { linked, refused: stillSignedIn });
  route();
}

function signedOut(why = "") {
  live?.close();
  shown?.close();
  [user, live, shown] = [null, null, null];
  for (const one of [nav, leave, side, link]) one.hidden = true;
  frame.dataset.page = "start";
  document.title = "Sign in – voicebot console";
  signIn(view, { done: signedIn, why });
}

/** Asked when the stream of all calls was refused: true when it makes no sense to come back. */
async function stillSignedIn() {
  try {
    await session.who();
    return false;
  } catch (error) {
    if (error.status === 401) signedOut("You were signed out.");
    return error.status === 401;
  }
}

async function start() {
  try {
    signedIn(await session.who());
  } catch (error) {
    signedOut(error.status === 401 ? "" : error.message);
  }
}

leave.addEventListener("click", async () => {
  try {
    await session.close();
    signedOut();
  } catch (error) {
    linked("off", error.message);
  }
});
// The part behind the # is the page that is shown, so this link may not change it.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  view.focus();
});
window.addEventListener("hashchange", route);
start();
