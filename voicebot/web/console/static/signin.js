// Asks for the token and exchanges it for a cookie.
import { freshId, h } from "./dom.js";
import { session } from "./api.js";

export function signIn(view, { done, why = "" }) {
  const [field, fault] = [freshId("token"), freshId("fault")];
  const input = h("input", {
    id: field, type: "password", name: "token", required: true, autocomplete: "current-password", spellcheck: "false",
    autocapitalize: "none", "aria-describedby": fault,
  });
  const problem = h("p", { id: fault, class: "fault", role: "alert" }, why);
  const button = h("button", { type: "submit", class: "main" }, "Sign in");
  const form = h("form", { class: "card signin", onsubmit: submit },
    h("h1", {}, "Sign in"),
    h("p", { class: "dim" }, "With a token of this service’s API. The scope ", h("code", {}, "watch"), " shows calls, ",
      h("code", {}, "control"), " acts on them."),
    h("label", { for: field }, "Token"), input, button, problem);

  async function submit(event) {
    event.preventDefault();
    button.disabled = true;
    problem.textContent = "";
    try {
      done(await session.open(input.value.trim()));
    } catch (error) {
      problem.textContent = error.status === 401 ? "No such token." : error.message;
      input.select();
      input.focus();
    } finally {
      button.disabled = false;
    }
  }

  view.replaceChildren(form);
  input.focus();
}
