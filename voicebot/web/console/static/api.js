// Talks to the service's HTTP API; the token is in a cookie that scripts cannot read.

/** What went wrong, in words for the user; `status` is 0 when nobody answered. */
export class Problem extends Error {
  constructor(status, title, detail = "", errors = []) {
    super([title, detail].filter(Boolean).join(": "));
    this.status = status;
    this.errors = errors;
  }
}

/** An address of the service, from the place where the page is: a proxy may have put it under a path. */
export function address(path, query = {}) {
  const url = new URL(path, document.baseURI);
  url.hash = "";
  for (const [name, value] of Object.entries(query)) {
    if (value !== "" && value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url.href;
}

export function callPath(id, rest = "") {
  return `calls/${encodeURIComponent(id)}${rest}`;
}

export async function request(method, path, { query, body, signal } = {}) {
  const options = { method, signal, credentials: "same-origin", headers: { Accept: "application/json" } };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(address(path, query), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The service does not answer");
  }
  const json = answer.headers.get("Content-Type")?.includes("json") ? await answer.json() : null;
  if (!answer.ok) throw problem(answer, json);
  return json;
}

function problem(answer, json) {
  if (!json) return new Problem(answer.status, `The service answered ${answer.status}`);
  const where = (json.errors ?? []).map((error) => `${error.pointer ?? error.parameter ?? ""} ${error.detail ?? ""}`.trim());
  return new Problem(answer.status, json.title ?? String(answer.status), [json.detail, ...where].filter(Boolean).join("; "));
}

export const get = (path, options) => request("GET", path, options);
export const post = (path, body, options) => request("POST", path, { ...options, body });

export const session = {
  who: () => get("session"),
  open: (token) => post("session", { token }),
  close: () => request("DELETE", "session"),
};

/** The actions of a reply, performed now. */
export function act(id, actions, interrupt = false) {
  return post(callPath(id, "/actions"), { actions, interrupt });
}
