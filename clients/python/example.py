"""One visit to the small shop that clients/shop makes: rank offers, say what the customer did with them, show what goes with the cart."""

import argparse
import uuid

from offerd.v1 import feedback_service_pb2 as feedback
from offerd.v1 import lists_pb2 as lists
from offerd.v1 import offer_service_pb2 as offers
from offerd.v1 import types_pb2 as types
from offerd_client import Client, Options

# What the shop knows of its offers: the item behind each, and its price in micros.
ITEMS = {
    "offer-tea": ("tea", 3_500_000),
    "offer-coffee": ("coffee", 6_200_000),
    "offer-honey": ("honey", 4_800_000),
    "offer-bread": ("bread", 2_900_000),
    "offer-soap": ("soap", 1_700_000),
}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--server", default="127.0.0.1:7070")
    arguments.add_argument("--customer", default="anna")
    arguments = arguments.parse_args()

    with Client(Options(server=arguments.server)) as client:
        # 1. Which offers should this customer see?
        answer = client.rank_offers(offers.RankOffersRequest(placement="home", customer_id=arguments.customer))
        print(f"decision {answer.decision_id} by policy {answer.policy}")
        for place, slot in enumerate(answer.slots, start=1):
            reason = offers.RankOffersResponse.Reason.Name(slot.reason)
            print(f"  {place}. {slot.offer_id}  probability {slot.probability:.4f}  score {slot.score:.4f}  {reason}")

        # 2. The customer looks at the first offer, puts it into the cart and buys it. Each event names the decision, so that it learns.
        offer = answer.slots[0].offer_id
        item, price = ITEMS[offer]
        stream = client.feedback_stream()
        for kind in (types.VIEW, types.ADD_TO_CART, types.PURCHASE):
            event = feedback.Event(
                event_id=str(uuid.uuid4()),
                kind=kind,
                customer_id=arguments.customer,
                decision_id=answer.decision_id,
                offer_id=offer,
                lines=[feedback.EventLine(item_id=item, quantity=1, revenue_micros=price)],
            )
            if kind == types.PURCHASE:
                event.order_id = str(uuid.uuid4())
            stream.send([event])
        stream.close(timeout=10)  # waits for the acknowledgements: now the events are on the server's disk
        counts = stream.counts()
        print(f"feedback: 3 events sent, {counts.acknowledged} acknowledged, {counts.applied} applied")

        # 3. What goes with the cart?
        cart = lists.CrossSellRequest(placement="cart", customer_id=arguments.customer, cart=[lists.CartLine(item_id=item, quantity=1)])
        entries = client.cross_sell(cart).entries
        print(f"goes with {item}: {', '.join(entry.item_id for entry in entries)}")


if __name__ == "__main__":
    main()
