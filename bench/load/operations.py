"""Measures what a shop's operator notices: scripts/bench freshness|publish|start.

freshness: how soon a request sees an event that was acknowledged, and a model that has learned from a click. publish: what the
publication of a table of 1,000,000 items does to the latency of requests. start: how soon a large store answers. One result each.
"""

import argparse
import contextlib
import datetime
import json
import math
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import measure
from measure import BIN, COMMIT, IN_FLIGHT, ROOT, Disturbance, Offerd, Shop, load, log, machine, resident_bytes, run_pairs, spread, support, wait_for_quiet

LARGE_ITEMS, LARGE_OFFERS, LARGE_CUSTOMERS = 1_000_000, 100_000, 1_000_000
LARGE_TABLE = "large"  # of `publish`, in two versions that take turns
MIX = ("--mix", "rank_offers=10,send_feedback=1", "--events", 10)  # an event a request
BACKGROUND_SECONDS = 20
BACKGROUND_SHARE = 1 / 3  # of the peak
PUBLISH_SHARE = 0.3
CANDIDATES = 10
UNCHANGED_SECONDS = 0.03  # three times what a publication waits: the model has nothing left to learn
PATIENCE_SECONDS = 10  # for one event to be seen
WARM_STARTS, COLD_STARTS = 5, 3
SERVING = b"\x08\x01"  # HealthCheckResponse { status: SERVING }


def import_stubs(folder):
    """The generated modules that the cases need, in this process."""
    support.generate_stubs(folder)
    import grpc
    from offerd.v1 import feedback_service_pb2, feedback_service_pb2_grpc, lists_pb2, offer_service_pb2, offer_service_pb2_grpc, types_pb2

    return argparse.Namespace(grpc=grpc, feedback=feedback_service_pb2, feedback_rpc=feedback_service_pb2_grpc, lists=lists_pb2,
                              offers=offer_service_pb2, offers_rpc=offer_service_pb2_grpc, types=types_pb2)


def percentiles(seconds):
    """In milliseconds: the smallest value that so many are not above."""
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1}
    return {name: round(1e3 * ordered[math.ceil(q * len(ordered)) - 1], 3) for name, q in at.items()}


def undisturbed(options, run):
    """`run()`, again while others disturb it; the least disturbed result."""
    best = None
    for _ in range(1 + options.retries):
        wait_for_quiet(options.quiet, options.patience)
        result = run()
        log(f"  others took {100 * result['others']:.0f} % of the machine")
        if best is None or result["others"] < best["others"]:
            best = result
        if best["others"] <= options.quiet:
            break
    return best


class Watcher:
    """Sends events over one connection and looks for them over another."""

    def __init__(self, stubs, target):
        self.stubs = stubs
        self.target = target

    def __enter__(self):
        self.channels = [self.stubs.grpc.insecure_channel(self.target, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(2)]
        self.feedback = self.stubs.feedback_rpc.FeedbackServiceStub(self.channels[0])
        self.offers = self.stubs.offers_rpc.OfferServiceStub(self.channels[1])
        return self

    def __exit__(self, *_):
        for channel in self.channels:
            channel.close()

    def request(self, customer, **more):
        out = self.stubs.offers.RankOffersRequest(placement="home", customer_id=customer, **more)
        for i in range(CANDIDATES):
            out.candidates.add(offer_id=f"offer-{i:06d}")
        return out

    def send(self, event):
        """When it was sent and acknowledged."""
        request = self.stubs.feedback.SendFeedbackRequest(events=[event])
        sent = time.perf_counter()
        result = self.feedback.SendFeedback(request).results[0]
        acknowledged = time.perf_counter()
        if result.fate != self.stubs.feedback.APPLIED:
            raise RuntimeError(f"event {event.event_id} was not applied: {result}")
        return sent, acknowledged

    def ask_until(self, request, is_seen):
        """Times of asking and answer of the first request that saw it, and how many were asked."""
        deadline = time.perf_counter() + PATIENCE_SECONDS
        attempts = 0
        while time.perf_counter() < deadline:
            asked = time.perf_counter()
            answer = self.offers.RankOffers(request)
            answered = time.perf_counter()
            attempts += 1
            if is_seen(answer):
                return asked, answered, attempts
        raise RuntimeError(f"not seen within {PATIENCE_SECONDS} s by {attempts} requests")

    def see_customer(self, name):
        """The first purchase of somebody unknown, until a request knows them."""
        unknown = self.stubs.offers.RankOffersResponse.UNKNOWN_CUSTOMER
        request = self.request(name, validate_only=True)
        event = self.stubs.feedback.Event(event_id=name, kind=self.stubs.types.PURCHASE, customer_id=name, order_id=name)
        event.lines.add(item_id="item-0000001", quantity=1, revenue_micros=2_500_000)
        if unknown not in self.offers.RankOffers(request).notes:
            raise RuntimeError(f"{name} was known before their first purchase")
        sent, acknowledged = self.send(event)
        asked, _, attempts = self.ask_until(request, lambda answer: unknown not in answer.notes)
        return {"acknowledged": acknowledged - sent, "seen": asked - acknowledged, "attempts": attempts}

    def settled_version(self, request):
        version = self.offers.RankOffers(request).model_version
        while True:
            time.sleep(UNCHANGED_SECONDS)
            now = self.offers.RankOffers(request).model_version
            if now == version:
                return version
            version = now

    def see_click(self, name, is_busy):
        """A click on a shown slot, until a later model answers. On a busy server any model may be the one of somebody else's events, so
        there it is the next one after the model that the first request after the acknowledgement finds: it holds the click for certain."""
        customer = "customer-0000001"
        decision = self.offers.RankOffers(self.request(customer, request_id=name))
        request = self.request(customer, validate_only=True)
        version = None if is_busy else self.settled_version(request)
        event = self.stubs.feedback.Event(event_id=name, kind=self.stubs.types.CLICK, customer_id=customer, decision_id=decision.decision_id,
                                          offer_id=decision.slots[0].offer_id)
        sent, acknowledged = self.send(event)
        if is_busy:
            version = self.offers.RankOffers(request).model_version
        _, answered, attempts = self.ask_until(request, lambda answer: answer.model_version > version)
        return {"acknowledged": acknowledged - sent, "seen": answered - acknowledged, "attempts": attempts}


def describe(samples):
    first = sum(s["attempts"] == 1 for s in samples)
    return {"events": len(samples), "seen_ms": percentiles([s["seen"] for s in samples]), "seen_at_first_attempt": first,
            "acknowledged_ms": percentiles([s["acknowledged"] for s in samples])}


def watch_idle(server, count, see):
    watch = Disturbance(server.pid)
    result = describe([see(n) for n in range(count)])
    return {**result, "others": watch.share()}


def watch_busy(server, count, see, rate):
    """The same while bench_load sends at the rate."""
    samples, background = [], []

    def drive():
        background.append(load(server, BACKGROUND_SECONDS, *MIX, "--mode", "open", "--rate", rate))

    watch = Disturbance(server.pid)
    while len(samples) < count:
        thread = threading.Thread(target=drive)
        thread.start()
        time.sleep(0.5)  # connected and under way
        while thread.is_alive():
            samples.append(see(len(samples)))
        thread.join()
    return {**describe(samples), "others": watch.share(), "rate": rate,
            "background": [{"throughput": b["throughput"], "latency_us": b["latency_us"], "errors": b["errors"]} for b in background]}


def measure_freshness(options, shop, folder):
    stubs = import_stubs(folder)
    server = Offerd(shop, folder)
    try:
        load(server, 1, *MIX, "--in_flight", 8, warmup=0)
        peak = undisturbed(options, lambda: load(server, options.seconds, *MIX, "--in_flight", IN_FLIGHT))
        rate = int(BACKGROUND_SHARE * peak["throughput"])
        log(f"  peak {peak['throughput']:.0f}/s, in the background {rate}/s")
        names = (f"run-{i}" for i in range(1_000_000))
        result = {"peak": peak["throughput"], "rate": rate}
        with Watcher(stubs, server.target) as watcher:
            def run(see, is_busy):
                run_name = next(names)
                one = lambda n: see(f"{run_name}-{n}", is_busy)
                return watch_busy(server, options.events, one, rate) if is_busy else watch_idle(server, options.events, one)

            for what, see in (("event", lambda name, _: watcher.see_customer(name)), ("learning", watcher.see_click)):
                for is_busy in (False, True):
                    name = f"{what}_{'busy' if is_busy else 'idle'}"
                    result[name] = undisturbed(options, lambda: run(see, is_busy))
                    log(f"  {name}: {json.dumps(result[name]['seen_ms'])} ms, {result[name]['seen_at_first_attempt']} of {result[name]['events']} at the first attempt")
        return {**result, "dropped_decisions": server.dropped(), "target_p99_ms": 50}
    finally:
        server.close()


class Publishing:
    """Publishes the two versions in turns, as fast as the server takes them, while it is entered."""

    def __init__(self, server):
        self.server = server
        self.seconds = []
        self.version = 1
        self.stop = threading.Event()

    def publish(self):
        self.version = 3 - self.version
        begin = time.monotonic()
        self.server.server.ctl("--timeout", 120, "table", "publish", LARGE_TABLE, self.version)
        self.seconds.append(time.monotonic() - begin)

    def run(self):
        while not self.stop.is_set():
            self.publish()

    def __enter__(self):
        self.seconds = []
        self.stop.clear()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def make_large_table(shop):
    for version in (1, 2):
        if not (shop.tables / LARGE_TABLE / str(version) / "manifest.json").exists():
            subprocess.run([BIN / "bench_table", shop.tables, LARGE_TABLE, str(LARGE_ITEMS), str(measure.NEIGHBOURS)], check=True)


def measure_publish(options, shop, folder):
    make_large_table(shop)
    server = Offerd(shop, folder)
    try:
        publishing = Publishing(server)
        for _ in range(4):
            publishing.publish()
        alone = publishing.seconds[2:]  # both versions are in the page cache
        load(server, 1, "--in_flight", 8, warmup=0)
        peak = undisturbed(options, lambda: load(server, options.seconds, "--in_flight", IN_FLIGHT))
        rate = int(PUBLISH_SHARE * peak["throughput"])
        log(f"  peak {peak['throughput']:.0f}/s, pairs at {rate}/s; a publication on an idle server takes {max(alone):.2f} s")

        def run_one(is_publishing):
            with publishing if is_publishing else contextlib.nullcontext():
                return load(server, options.seconds, "--mode", "open", "--rate", rate)

        def run_pair(number):
            order = (False, True) if number % 2 == 0 else (True, False)
            parts = {is_publishing: run_one(is_publishing) for is_publishing in order}
            plain, during = parts[False]["latency_us"], parts[True]["latency_us"]
            ratios = {q: during[q] / plain[q] for q in ("p50", "p90", "p99", "p99.9", "max")}
            return {"parts": list(parts.values()), "plain": plain, "during": during, "ratios": ratios, "seconds": list(publishing.seconds),
                    "text": f"p99 {during['p99']:.0f} / {plain['p99']:.0f} us = {ratios['p99']:.2f}, {len(publishing.seconds)} publications"}

        pairs, disturbed = run_pairs(options, run_pair)
        return {
            "p99_ratio": spread([p["ratios"]["p99"] for p in pairs]), "target_p99_ratio": 2,
            "ratios": {q: spread([p["ratios"][q] for p in pairs]) for q in pairs[0]["ratios"]},
            "latency_us": {name: {q: spread([p[name][q] for p in pairs]) for q in pairs[0]["ratios"]} for name in ("plain", "during")},
            "publication_seconds": {"idle_server": spread(alone), "under_load": spread([s for p in pairs for s in p["seconds"]])},
            "publications_a_window": spread([len(p["seconds"]) for p in pairs]), "peak": peak["throughput"], "rate": rate,
            "window_seconds": options.seconds, "pairs": len(pairs), "disturbed_pairs": disturbed, "others": spread([p["others"] for p in pairs]),
            "resident_bytes": resident_bytes(server.pid), "dropped_decisions": server.dropped(),
        }
    finally:
        server.close()


def first_answers(stubs, port, begin, process):
    """Seconds from `begin` until each call is answered for the first time. The port is tried by itself, since a channel waits longer and
    longer between its attempts."""
    candidates = [stubs.offers.Candidate(offer_id=f"offer-{i * 1999:06d}") for i in range(50)]
    rank = stubs.offers.RankOffersRequest(placement="home", customer_id="customer-0500000", candidates=candidates, validate_only=True)
    cross = stubs.lists.CrossSellRequest(placement="cart", customer_id="customer-0500000")
    for i in range(5):
        cross.cart.add(item_id=f"item-{i * 199_999:07d}")
    # Each with what makes its answer a good one.
    calls = {
        "rank_offers": (lambda channel: stubs.offers_rpc.OfferServiceStub(channel).RankOffers(rank), lambda a: len(a.slots) == 10 and not a.notes),
        "cross_sell": (lambda channel: stubs.offers_rpc.OfferServiceStub(channel).CrossSell(cross), lambda a: len(a.entries) == 10 and not a.missing_tables),
        "serving": (lambda channel: channel.unary_unary("/grpc.health.v1.Health/Check")(b""), lambda a: a == SERVING),
    }
    seconds = {}
    while process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.001)
            continue
        seconds.setdefault("port", time.monotonic() - begin)
        with stubs.grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            for name, (call, is_good) in calls.items():
                if name in seconds:
                    continue
                with contextlib.suppress(stubs.grpc.RpcError):
                    if is_good(call(channel)):
                        seconds[name] = time.monotonic() - begin
        if len(seconds) == 1 + len(calls):
            return seconds
    raise RuntimeError(f"offerd ended with {process.returncode}")


def logged_seconds(server, begin):
    """When the server logged its stages, in seconds after `begin`, a time of the wall clock."""
    lines = map(json.loads, server.log.read_text().splitlines())
    return {line["event"]: round(datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp() - begin, 4)
            for line in lines if line["event"] in ("recovered", "ready")}


def drop_page_cache():
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


def start_once(stubs, shop):
    """On the seeded store itself, which a start, requests of no consequence and a stop leave as it was."""
    server = support.Server(shop.folder, **shop.settings())
    watch = Disturbance(None)
    wall, begin = time.time(), time.monotonic()
    try:
        server.launch()
        watch.pid = server.process.pid
        seconds = first_answers(stubs, server.port, begin, server.process)
        others = watch.share()
        cpu = measure.cpu_seconds(server.process.pid)
        recovered = [json.loads(line) for line in server.log.read_text().splitlines() if '"recovered"' in line][0]
        if recovered["replayed"] != 0:
            raise RuntimeError(f"{recovered['replayed']} records were replayed: the store was not stopped cleanly")
        result = {"seconds": {name: round(s, 4) for name, s in seconds.items()}, "logged": logged_seconds(server, wall), "others": others,
                  "cpu_seconds": cpu, "resident_bytes": resident_bytes(server.process.pid)}
        if server.terminate() != 0:
            raise RuntimeError("offerd did not stop cleanly")
        log(f"  {json.dumps(result)}")
        return result
    finally:
        server.close()


def measure_start(options, shop, folder):
    stubs = import_stubs(folder)
    start_once(stubs, shop)  # everything is in the page cache
    runs = {"warm": [undisturbed(options, lambda: start_once(stubs, shop)) for _ in range(WARM_STARTS)], "cold": []}
    try:
        for _ in range(COLD_STARTS):
            drop_page_cache()
            runs["cold"].append(start_once(stubs, shop))
    except PermissionError as error:
        log(f"  the page cache cannot be dropped: {error}")
    result = {"offers": measure.OFFERS, "customers": measure.CUSTOMERS, "visits": measure.VISITS, "lines": measure.LINES, "items": measure.ITEMS,
              "neighbours": measure.NEIGHBOURS, "target_seconds": 2}
    for name, starts in runs.items():
        if not starts:
            continue
        result[name] = {key: spread([s["seconds"][key] for s in starts]) for key in starts[0]["seconds"]}
        result[name]["cpu_seconds"] = spread([s["cpu_seconds"] for s in starts])
        result[name]["resident_bytes"] = spread([s["resident_bytes"] for s in starts])
        result[name]["others"] = spread([s["others"] for s in starts])
        result[name]["logged"] = [s["logged"] for s in starts]
    return result


CASES = {"freshness": measure_freshness, "publish": measure_publish, "start": measure_start}


def keep(name, result):
    """Into bench/results/operations-COMMIT.json, beside the other cases of that commit."""
    path = ROOT / f"bench/results/operations-{COMMIT}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"commit": COMMIT, "machine": machine()}
    kept[name] = {"measured": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), **result}
    path.write_text(json.dumps(kept, indent=1) + "\n")


def main():
    arguments = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    arguments.add_argument("case", choices=CASES)
    arguments.add_argument("--json", action="store_true", help="one JSON object on standard output and nothing else")
    arguments.add_argument("--pairs", type=int, default=5, help="windows with and without publications")
    arguments.add_argument("--seconds", type=float, default=8, help="counted of each run of the generator")
    arguments.add_argument("--events", type=int, default=2000, help="at least so many of each kind")
    arguments.add_argument("--retries", type=int, default=3, help="more runs in place of those that others disturbed")
    arguments.add_argument("--quiet", type=float, default=0.1, help="share of the machine that others may take")
    arguments.add_argument("--patience", type=float, default=60, help="seconds to wait for a quiet machine before each run")
    arguments.add_argument("--table-memory", choices=["COPIED", "MAPPED"], default="COPIED", help="as in the configuration")
    arguments.add_argument("--shop", help="folder of a seeded shop, made when it is not there, of its own for start; default: a temporary one")
    options = arguments.parse_args()
    if options.case == "start":  # what Shop seeds by
        measure.ITEMS, measure.OFFERS, measure.CUSTOMERS = LARGE_ITEMS, LARGE_OFFERS, LARGE_CUSTOMERS
    temporary = pathlib.Path(tempfile.mkdtemp(prefix="offerd-bench-"))
    try:
        shop = Shop(options.shop or temporary / "shop", options.table_memory)
        shop.seed()
        log(f"{options.case}:")
        result = CASES[options.case](options, shop, temporary)
        keep(options.case if options.table_memory == "COPIED" else f"{options.case}_mapped", result)
        if options.json:
            print(json.dumps(result, indent=1))
        else:
            for key, value in result.items():
                print(f"{key}: {json.dumps(value)}")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    main()
