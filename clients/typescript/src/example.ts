// One visit to the small shop that clients/shop makes: rank offers, say what the customer did with them, show what goes with the cart.
import * as crypto from "node:crypto";
import { parseArgs } from "node:util";

import { Client } from "./index";

// What the shop knows of its offers: the item behind each, and its price in micros.
const ITEMS = new Map([
  ["offer-tea", { id: "tea", priceMicros: 3_500_000 }],
  ["offer-coffee", { id: "coffee", priceMicros: 6_200_000 }],
  ["offer-honey", { id: "honey", priceMicros: 4_800_000 }],
  ["offer-bread", { id: "bread", priceMicros: 2_900_000 }],
  ["offer-soap", { id: "soap", priceMicros: 1_700_000 }],
]);

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { server: { type: "string" }, customer: { type: "string" } } });
  const customerId = values.customer ?? "anna";
  const client = new Client({ server: values.server ?? "127.0.0.1:7070" });

  // 1. Which offers should this customer see?
  const answer = await client.rankOffers({ placement: "home", customerId });
  console.log(`decision ${answer.decisionId} by policy ${answer.policy}`);
  answer.slots.forEach((slot, place) =>
    console.log(`  ${place + 1}. ${slot.offerId}  probability ${slot.probability.toFixed(4)}  score ${slot.score.toFixed(4)}  ${slot.reason}`),
  );

  // 2. The customer looks at the first offer, puts it into the cart and buys it. Each event names the decision, so that it learns.
  const { offerId } = answer.slots[0];
  const item = ITEMS.get(offerId)!;
  const stream = client.feedbackStream();
  for (const kind of ["VIEW", "ADD_TO_CART", "PURCHASE"] as const) {
    stream.send([
      {
        eventId: crypto.randomUUID(), // a repeat of the same event must carry the same id
        kind,
        customerId,
        decisionId: answer.decisionId,
        offerId,
        lines: [{ itemId: item.id, quantity: 1, revenueMicros: item.priceMicros }],
        orderId: kind === "PURCHASE" ? crypto.randomUUID() : "",
      },
    ]);
  }
  await stream.close(10_000); // waits for the acknowledgements: now the events are on the server's disk
  const counts = stream.counts();
  console.log(`feedback: 3 events sent, ${counts.acknowledged} acknowledged, ${counts.applied} applied`);

  // 3. What goes with the cart?
  const list = await client.crossSell({ placement: "cart", customerId, cart: [{ itemId: item.id, quantity: 1 }] });
  console.log(`goes with ${item.id}: ${list.entries.map((entry) => entry.itemId).join(", ")}`);
  client.close();
}

main().catch((error) => {
  console.error(`example: ${error.message}`);
  process.exit(1);
});
