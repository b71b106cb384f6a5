// Acts on a call under way: say, finalize, transfer, hang up; the last two ask first.
import { act, callPath, post } from "./api.js";
import { freshId, h } from "./dom.js";

const MAX_TEXT = 5000;

/** Ask in a dialog; resolves to whether it was confirmed. */
function confirmed(title, text, verb) {
  return new Promise((resolve) => {
    const [name, about] = [freshId("ask"), freshId("about")];
    const dialog = h("dialog", { "aria-labelledby": name, "aria-describedby": about },
      h("h2", { id: name }, title),
      h("p", { id: about }, text),
      h("p", { class: "row end" },
        h("button", { type: "button", autofocus: true, onclick: () => dialog.close("") }, "Cancel"),
        h("button", { type: "button", class: "danger", onclick: () => dialog.close("yes") }, verb)));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export class Actions {
  constructor(id, scopes) {
    this.id = id;
    this.allowed = scopes.includes("control") || scopes.includes("admin");
    const [text, number] = [freshId("say"), freshId("transfer")];
    this.text = h("textarea", { id: text, rows: "2", maxlength: MAX_TEXT, required: true, dir: "auto", onkeydown: (event) => this.key(event) });
    this.interrupt = h("input", { type: "checkbox" });
    this.number = h("input", { id: number, type: "tel", required: true, placeholder: "+41445550199", autocomplete: "off" });
    this.sayForm = h("form", { class: "say", onsubmit: (event) => this.say(event) },
      h("p", { class: "row" }, h("label", { for: text }, "Say to the caller"), h("span", { class: "spring" }),
        h("label", { class: "check" }, this.interrupt, "interrupt the bot")),
      h("div", { class: "row" }, this.text, h("button", { type: "submit", class: "main" }, "Say")));
    this.transferForm = h("form", { class: "transfer", onsubmit: (event) => this.transfer(event) },
      h("label", { for: number }, "Transfer to"),
      h("p", { class: "row" }, this.number, h("button", { type: "submit" }, "Transfer …")));
    this.result = h("p", { class: "result", role: "status" });
    this.fields = h("fieldset", { disabled: !this.allowed }, h("legend", { class: "for-readers" }, "Act on the call"),
      this.sayForm, this.transferForm,
      h("p", { class: "row" },
        h("button", { type: "button", title: "Take the caller’s words as they are now for a turn", onclick: () => this.finalize() }, "End turn now"),
        h("button", { type: "button", class: "danger", onclick: () => this.hangUp() }, "Hang up …")));
    this.root = h("section", { class: "card actions", "aria-label": "Act on the call" }, h("div", { class: "row" }, h("h2", {}, "Act on the call"), this.result),
      !this.allowed && h("p", { class: "dim" }, "This token may watch only: acting needs the scope control."), this.fields);
  }

  draw(call) {
    const live = call.summary.state === "live";
    this.root.hidden = !live;
    if (!live && this.root.contains(document.activeElement)) document.querySelector("#view")?.focus();
    this.sayForm.hidden = this.transferForm.hidden = call.summary.mode === "transcribe";
  }

  /** Enter sends, Shift and Enter makes a new line, as everywhere where one writes to somebody. */
  key(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.sayForm.requestSubmit();
  }

  async say(event) {
    event.preventDefault();
    const text = this.text.value.trim();
    if (!text) return;
    const work = () => act(this.id, [{ type: "say", text }], this.interrupt.checked);
    if (await this.does(work, "Said.")) this.text.value = "";
  }

  async transfer(event) {
    event.preventDefault();
    const to = this.number.value.trim();
    if (!to || !(await confirmed("Transfer the call?", `The caller is connected to ${to}, and the bot leaves the call.`, "Transfer"))) return;
    await this.does(() => act(this.id, [{ type: "transfer", to }]), `Transferring to ${to}.`);
  }

  finalize() {
    return this.does(() => post(callPath(this.id, "/finalize")), "The turn ends.");
  }

  async hangUp() {
    if (!(await confirmed("Hang up?", "The call ends for the caller at once.", "Hang up"))) return;
    await this.does(() => post(callPath(this.id, "/hangup"), { reason: "console" }), "Hanging up.");
  }

  async does(work, told) {
    this.result.dataset.kind = "";
    this.result.textContent = "…";
    try {
      await work();
      this.result.textContent = told;
      return true;
    } catch (error) {
      this.result.dataset.kind = "fault";
      this.result.textContent = error.message;
      return false;
    }
  }
}
