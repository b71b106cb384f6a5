#!/usr/bin/env node
// A receiver for the webhooks of voicebot: Node.js 18 or later, and nothing else.
//   WEBHOOK_SECRET=whsec_… PORT=9000 node receiver.mjs

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const KEY = Buffer.from((process.env.WEBHOOK_SECRET ?? "").replace(/^whsec_/, ""), "base64");
const TOLERANCE_S = 300;
const MAX_BODY = 2 ** 20;
const REMEMBERED = 10_000; // answers kept for events that come again

/** What the caller hears. Here your application begins; types that you do not know are answered with {}. */
async function answer(event) {
  switch (event.type) {
    case "call.started":
      return { actions: [say("Hello! Say something, or goodbye.")] };
    case "turn.completed":
    case "turn.provisional": {
      const { text } = event.data.turn;
      if (!text) return {};
      if (/goodbye/i.test(text)) return { actions: [say("Goodbye!"), { type: "hangup" }] };
      return { actions: [say(`You said: ${[...text].slice(0, 1000).join("")}`)] };
    }
    case "no_input":
      return { actions: [event.data.count === 1 ? say("Are you still there?") : { type: "hangup" }] };
    default:
      return {};
  }
}

const say = (text) => ({ type: "say", text });

/** Standard Webhooks: an HMAC over id, timestamp and the raw body; one right signature of several is enough. */
function verified(headers, body) {
  const id = headers["webhook-id"];
  const timestamp = headers["webhook-timestamp"];
  const signatures = headers["webhook-signature"];
  if (!id || !signatures || !/^\d{1,12}$/.test(timestamp ?? "")) return false;
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > TOLERANCE_S) return false;
  const wanted = createHmac("sha256", KEY).update(`${id}.${timestamp}.`).update(body).digest();
  return signatures.split(" ").some((signature) => {
    const [version, digest] = signature.split(",");
    const given = Buffer.from(digest ?? "", "base64");
    return version === "v1" && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

/** The raw bytes of the body: they are what was signed. null if there are too many. */
async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// An event may come again: it has the same answer, and nothing is done twice. The promise is kept, not its value,
// so that an event that comes again while its answer is still being made waits for that one.
const answers = new Map();

function answerOnce(event) {
  if (!answers.has(event.id)) {
    const reply = answer(event);
    reply.catch(() => answers.delete(event.id)); // what failed is tried again
    answers.set(event.id, reply);
    if (answers.size > REMEMBERED) answers.delete(answers.keys().next().value);
  }
  return answers.get(event.id);
}

async function receive(request, response) {
  if (request.method !== "POST") return response.writeHead(405, { allow: "POST" }).end();
  const body = await read(request);
  if (body === null) return response.writeHead(413, { connection: "close" }).end();
  if (!verified(request.headers, body)) return response.writeHead(401).end();
  const reply = await answerOnce(JSON.parse(body.toString("utf8")));
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(reply));
}

if (KEY.length < 24) throw new Error("WEBHOOK_SECRET: set it to the secret of the service, whsec_…");

const server = createServer((request, response) => {
  receive(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) response.writeHead(500).end();
  });
});
server.keepAliveTimeout = 75_000; // longer than the service keeps its connections
server.listen(Number(process.env.PORT ?? 9000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
