"""The cases of tests/clients/run.py, with the same command line in every language: --name value pairs, one JSON line as the answer."""

import json
import sys
import time

from offerd.v1 import feedback_service_pb2 as feedback
from offerd.v1 import lists_pb2 as lists
from offerd.v1 import offer_service_pb2 as offers
from offerd.v1 import types_pb2 as types
from offerd_client import BufferFull, Client, OfferdError, Options, offer_key


def rank(client, given):
    request = offers.RankOffersRequest(
        request_id=given.get("request-id", ""),
        placement=given.get("placement", "home"),
        customer_id=given.get("customer", "anna"),
        slate_size=int(given.get("slots", 0)),
        offer_keys=[offer_key(offer_id) for offer_id in given["compact"].split(",")] if "compact" in given else [],
    )
    answers = [client.rank_offers(request) for _ in range(int(given.get("times", 1)))]
    result = {"decision_ids": [answer.decision_id for answer in answers]}
    if "compact" in given:
        result["keys"] = list(request.offer_keys)
        result["packed"] = list(answers[-1].packed.index)
        result["unknown"] = list(answers[-1].unknown_keys)
    return result


def send_lists(client, given):
    where = dict(placement=given.get("placement", "cart"), customer_id="anna")
    answers = {
        "cross_sell": client.cross_sell(lists.CrossSellRequest(cart=[lists.CartLine(item_id="tea")], **where)),
        "similar_items": client.similar_items(lists.SimilarItemsRequest(item_id="tea", **where)),
        "recommend_items": client.recommend_items(lists.RecommendItemsRequest(**where)),
        "recommend_next": client.recommend_next(lists.RecommendNextRequest(session_item_ids=["tea"], **where)),
    }
    return {name: len(answer.entries) for name, answer in answers.items()}


def send_events(client, given):
    stream = client.feedback_stream()
    sent = 0
    try:
        for number in range(int(given["events"])):
            event = feedback.Event(
                event_id=f"{given['prefix']}-{number}",
                kind=types.VIEW,
                customer_id=given["prefix"],
                lines=[feedback.EventLine(item_id=given.get("item", "tea"))],
            )
            stream.send([event])
            sent += 1
            time.sleep(float(given.get("pause-ms", 0)) / 1000)
        stream.close(float(given.get("flush-seconds", 60)))
        code = None
    except BufferFull as full:
        code = full
    counts = stream.counts()
    result = {
        "sent": sent,
        "acknowledged": counts.acknowledged,
        "applied": counts.applied,
        "duplicate": counts.duplicate,
        "other": counts.other,
        "reconnects": counts.reconnects,
        "unacknowledged": len(stream.unacknowledged()),
    }
    if code is not None:
        result.update(ok=False, code="BUFFER_FULL", message=str(code))
    return result


def main():
    given = dict(zip((name[2:] for name in sys.argv[1::2]), sys.argv[2::2]))
    token = open(given["token-file"]).readline().strip() if "token-file" in given else ""
    options = Options(
        server=given["server"],
        token=token,
        tls_ca=given.get("tls-ca", ""),
        tls_cert=given.get("tls-cert", ""),
        tls_key=given.get("tls-key", ""),
        timeout=float(given.get("timeout", 10)),
        max_unacknowledged=int(given.get("max-unacknowledged", 1000)),
        ack_timeout=float(given.get("ack-timeout", 10)),
    )
    cases = {"rank": rank, "lists": send_lists, "feedback": send_events}
    client = Client(options)
    begin = time.monotonic()
    try:
        result = {"ok": True, **cases[given["case"]](client, given)}
    except OfferdError as error:
        fields = [field for field, _ in error.violations]
        result = {"ok": False, "code": error.code, "message": str(error), "attempts": error.attempts, "fields": fields}
    result["seconds"] = round(time.monotonic() - begin, 3)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
