// Makes elements and formats values; text reaches the page as text nodes only, never as markup.

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An element for what people said or wrote: its direction follows its first letter. */
export function said(tag, className, text) {
  return h(tag, { class: className, dir: "auto" }, text);
}

export function tag(text, title, kind = "") {
  return h("span", { class: `tag ${kind}`, title }, text);
}

/** Milliseconds as 0:07, 12:34 or 1:02:03. */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = String(seconds % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** The same for a screen reader. */
export function spokenDuration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const minutes = Math.floor(seconds / 60);
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

/** How far the service's clock is ahead of this one, from an instant that it has just told. */
export function ahead(at) {
  const told = Date.parse(at ?? "");
  return Number.isNaN(told) ? 0 : told - Date.now();
}

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });

export function day(text) {
  return text ? h("time", { datetime: text }, DAY.format(new Date(text))) : "";
}

export function clock(text) {
  return text ? h("time", { datetime: text }, CLOCK.format(new Date(text))) : "";
}

export function plural(count, one, many = `${one}s`) {
  return `${count} ${count === 1 ? one : many}`;
}

/** Run `work` once before the next frame, however often it is asked for. */
export function perFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    // A hidden tab draws no frames; its page is brought up to date when it is shown.
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

let ids = 0;

export function freshId(prefix) {
  ids += 1;
  return `${prefix}-${ids}`;
}
