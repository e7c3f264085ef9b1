// The cases of tests/clients/run.py, with the same command line in every language: --name value pairs, one JSON line as the answer.
import * as fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

import { BufferFull, Client, OfferdError, offerKey } from "./index";

type Given = Map<string, string>;
type Result = { [name: string]: unknown };

const number = (given: Given, name: string, otherwise: number) => Number(given.get(name) ?? otherwise);

async function rank(client: Client, given: Given, result: Result): Promise<void> {
  const ids: string[] = [];
  const keys = given.get("compact")?.split(",").map(offerKey);
  for (let i = 0; i < number(given, "times", 1); ++i) {
    const answer = await client.rankOffers({
      requestId: given.get("request-id") ?? "",
      placement: given.get("placement") ?? "home",
      customerId: given.get("customer") ?? "anna",
      slateSize: number(given, "slots", 0),
      offerKeys: keys,
    });
    ids.push(answer.decisionId);
    if (keys) Object.assign(result, { keys, packed: answer.packed?.index ?? [], unknown: answer.unknownKeys });
  }
  result.decision_ids = ids;
}

async function lists(client: Client, given: Given, result: Result): Promise<void> {
  const where = { placement: given.get("placement") ?? "cart", customerId: "anna" };
  result.cross_sell = (await client.crossSell({ ...where, cart: [{ itemId: "tea" }] })).entries.length;
  result.similar_items = (await client.similarItems({ ...where, itemId: "tea" })).entries.length;
  result.recommend_items = (await client.recommendItems(where)).entries.length;
  result.recommend_next = (await client.recommendNext({ ...where, sessionItemIds: ["tea"] })).entries.length;
}

async function feedback(client: Client, given: Given, result: Result): Promise<void> {
  const stream = client.feedbackStream();
  const prefix = given.get("prefix");
  let sent = 0;
  try {
    for (; sent < number(given, "events", 0); ++sent) {
      stream.send([{ eventId: `${prefix}-${sent}`, kind: "VIEW", customerId: prefix, lines: [{ itemId: "tea" }] }]);
      await sleep(number(given, "pause-ms", 0));
    }
    await stream.close(number(given, "flush-seconds", 60) * 1000);
  } finally {
    Object.assign(result, { sent, ...stream.counts(), unacknowledged: stream.unacknowledged().length });
  }
}

async function main(): Promise<void> {
  const given: Given = new Map();
  for (let i = 2; i + 1 < process.argv.length; i += 2) given.set(process.argv[i].slice(2), process.argv[i + 1]);
  const tokenFile = given.get("token-file");
  const client = new Client({
    server: given.get("server"),
    token: tokenFile ? fs.readFileSync(tokenFile, "utf8").split("\n")[0].trim() : "",
    tlsCa: given.get("tls-ca") ?? "",
    tlsCert: given.get("tls-cert") ?? "",
    tlsKey: given.get("tls-key") ?? "",
    timeoutMs: number(given, "timeout", 10) * 1000,
    maxUnacknowledged: number(given, "max-unacknowledged", 1000),
    ackTimeoutMs: number(given, "ack-timeout", 10) * 1000,
  });
  const cases: { [name: string]: typeof rank } = { rank, lists, feedback };
  const result: Result = { ok: true };
  const begin = Date.now();
  try {
    await cases[given.get("case")!](client, given, result);
  } catch (error) {
    if (!(error instanceof OfferdError)) throw error;
    result.ok = false;
    result.code = error instanceof BufferFull ? "BUFFER_FULL" : error.code;
    result.message = error.message;
    result.attempts = error.attempts;
    result.fields = error.violations.map((violation) => violation.field);
  }
  result.seconds = (Date.now() - begin) / 1000;
  console.log(JSON.stringify(result));
  process.exit(0); // a full buffer leaves a stream behind that goes on trying
}

void main();
