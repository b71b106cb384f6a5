// What is known of one call: a value made from the API's record, changed by live events, and drawn by the views.

/** A call of which nothing is known yet. */
export function emptyCall(id) {
  return {
    id,
    summary: { id, state: "live", from: "", to: "", turns: 0 },
    parameters: {},
    applicationState: null,
    recording: false,
    lines: new Map(),
    open: new Map(),
    offered: null,
    retracted: [],
    latency: new Map(),
    attempts: new Map(), // by the sequence of their event
    attempted: 0,
    troubles: [],
    noted: 0,
  };
}

/** From `GET /calls/{id}`. */
export function callFrom(detail) {
  const call = emptyCall(detail.call.id);
  call.summary = detail.call;
  call.parameters = detail.parameters ?? {};
  call.applicationState = detail.state ?? null;
  call.recording = Boolean(detail.recording);
  const lines = [
    ...(detail.turns ?? []).map((turn) => turnLine(turn, turn.track, turn.revision, turn.started_at ?? turn.ended_at)),
    ...(detail.utterances ?? []).map((spoken, index) => botLine(`stored-${index}`, spoken, spoken.started_at)),
    ...(detail.asides ?? []).map((aside, index) => asideLine(`stored-${index}`, aside, aside.at)),
  ];
  lines.sort((one, other) => String(one.at ?? "").localeCompare(String(other.at ?? "")));
  for (const line of lines) call.lines.set(line.key, line);
  for (const turn of detail.turns ?? []) if (turn.latency) call.latency.set(turn.number, turn.latency);
  return call;
}

function distinct(words, field) {
  return [...new Set((words ?? []).map((word) => word[field]).filter(Boolean))];
}

function turnLine(turn, track, revision, at) {
  return {
    kind: "turn",
    key: `turn:${track ?? "caller"}:${turn.number}`,
    track: track ?? "caller",
    number: turn.number,
    at,
    text: turn.text,
    translation: turn.translation ?? "",
    languages: turn.languages ?? distinct(turn.words, "language"),
    speakers: turn.speakers ?? distinct(turn.words, "speaker"),
    reason: turn.reason,
    digits: turn.digits ?? "",
    entry: turn.entry ?? null,
    revision: revision ?? 1,
    retracted: [],
  };
}

function botLine(key, spoken, at) {
  return { kind: "bot", key: `bot:${key}`, at, speaking: false, ...spoken };
}

function asideLine(key, aside, at) {
  return { kind: "aside", key: `aside:${key}`, at, aside: aside.kind, text: aside.text };
}

function note(call, event, text, severity = "info") {
  call.noted += 1;
  const line = { kind: "note", key: `note:${call.noted}`, at: event.at, text, severity };
  call.lines.set(line.key, line);
}

const APPLY = {
  "call.opened"(call, event) {
    const { from, to, direction, mode } = event;
    Object.assign(call.summary, { from, to, direction, mode });
    call.summary.started_at ??= event.at;
  },
  partial(call, event) {
    const track = event.track ?? "caller";
    if (event.settled || event.tentative) call.open.set(track, { settled: event.settled, tentative: event.tentative });
    else call.open.delete(track);
  },
  "turn.provisional"(call, event) {
    call.offered = turnLine(event.turn, "caller", event.revision, event.at);
    call.open.delete("caller");
  },
  "turn.retracted"(call, event) {
    const text = call.offered?.number === event.number ? call.offered.text : event.text;
    call.retracted.push({ number: event.number, revision: event.revision, text: text ?? "" });
    call.offered = null;
  },
  "turn.completed"(call, event) {
    const track = event.track ?? "caller";
    const line = turnLine(event.turn, track, event.revision, event.turn.started_at ?? event.at);
    line.retracted = call.retracted.filter((one) => one.number === line.number).map((one) => one.text);
    call.retracted = call.retracted.filter((one) => one.number !== line.number);
    call.lines.set(line.key, line);
    call.open.delete(track);
    if (call.offered?.number === line.number) call.offered = null;
    call.summary.turns = (call.summary.turns ?? 0) + 1;
  },
  overheard(call, event) {
    call.noted += 1;
    const line = asideLine(call.noted, event, event.at);
    call.lines.set(line.key, line);
    call.open.delete("caller");
  },
  "call.resumed": (call, event) =>
    note(call, event, event.why === "restart" ? "The call goes on: the service was restarted." : "The call goes on: its stream was lost.", "warning"),
  digit: (call, event) => note(call, event, "The caller pressed a key."),
  "bot.started"(call, event) {
    const line = botLine(event.utterance, { text: event.text, heard: "", unheard: event.text }, event.at);
    call.lines.set(line.key, { ...line, speaking: true });
  },
  "bot.said"(call, event) {
    const key = `bot:${event.utterance}`;
    const { text, heard, unheard, ms, interrupted } = event;
    const before = call.lines.get(key) ?? botLine(event.utterance, {}, event.at);
    call.lines.set(key, { ...before, speaking: false, text, heard, unheard, ms, interrupted });
  },
  "bot.resumed": (call, event) => note(call, event, "That was no speech: the bot goes on."),
  "webhook.attempt"(call, event) {
    call.attempted += 1;
    if (event.sequence === undefined) return;
    const attempts = call.attempts.get(event.sequence) ?? [];
    call.attempts.set(event.sequence, [...attempts.filter((one) => one.attempt !== event.attempt), event]);
  },
  reply(call, event) {
    if (event.dropped) note(call, event, `A reply is not performed: ${event.dropped}`, "warning");
  },
  "reply.missing"(call, event) {
    call.troubles.push({ at: event.at, text: `No reply to event ${event.sequence}: ${event.reason}. ${event.detail ?? ""}` });
    note(call, event, `The application gave no reply: ${event.reason}`, "error");
  },
  latency: (call, event) => call.latency.set(event.turn, event.parts),
  trouble(call, event) {
    call.troubles.push({ at: event.at, text: event.what });
    note(call, event, event.what, "error");
  },
  "call.ended"(call, event) {
    Object.assign(call.summary, {
      state: "ended", ended_at: event.at, reason: event.reason, duration_ms: event.duration_ms, turns: event.turns,
    });
    call.open.clear();
    call.offered = null;
    for (const line of call.lines.values()) if (line.speaking) call.lines.set(line.key, { ...line, unfinished: true });
    note(call, event, `The call is over: ${event.reason}.`);
  },
};

/** Change the call by one event; what it does not know, it passes over. */
export function apply(call, event) {
  APPLY[event.type]?.(call, event);
  return call;
}

/** The steps of the latency account in the order of time, each with where it began. */
export function steps(parts) {
  const named = ["settled", "decided", "sent", "reply_began", "replied", "audio_sent", "audio_heard"];
  const known = named.map((name) => ({ name, end: parts[`${name}_ms`] })).filter((step) => Number.isFinite(step.end));
  known.sort((one, other) => one.end - other.end);
  let start = 0;
  return known.map((step) => {
    const placed = { ...step, start };
    start = step.end;
    return placed;
  });
}
