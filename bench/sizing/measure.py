"""Measures what one more item, offer, customer, visit, neighbour and open decision takes in the resident memory of offerd.

    OFFERD_BIN=build/release/bin build/python/bin/python bench/sizing/measure.py [--only items,offers] [--output FILE]

Every case fills a new server twice, with a small and a large number of the thing, and takes the slope between them, so that what a
server takes anyway falls out. `running` is the resident memory right after filling; `restarted` that of a new process that has
read the same state from its snapshot, and so holds neither write buffers nor what the allocator keeps: the difference is what to
leave free. docs/sizing.md has the formula and the figures.
"""

import argparse
import json
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/e2e"))
import support  # noqa: E402

LINES_A_VISIT = 5
CATALOGUE = 10_000  # items under the cases of offers and customers


def resident_bytes(server):
    for line in pathlib.Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")


def folder_bytes(path):
    return sum(f.stat().st_size for f in pathlib.Path(path).rglob("*") if f.is_file())


def write_csv(path, header, rows):
    with open(path, "w") as out:
        out.write(",".join(header) + "\n")
        for row in rows:
            out.write(",".join(map(str, row)) + "\n")
    return path


def run_import(server, kind, path, columns, *more):
    server.ctl("--timeout", 60, "import", kind, path, "--columns", columns, *more)


def fill_items(server, n):
    rows = ((f"item-{i:07d}", f"category-{i % 500}", f"brand-{i % 2000}", f"{1 + i % 90}.99", f"department-{i % 20}") for i in range(n))
    path = write_csv(server.folder / "items.csv", ["id", "category", "brand", "price", "department"], rows)
    run_import(server, "items", path, "id=id,category=category,brand=brand,price=price,attribute.department=department")


def fill_offers(server, n):
    fill_items(server, CATALOGUE)
    rows = ((f"offer-{i:06d}", f"Offer number {i}", f"item-{i % CATALOGUE:07d}|item-{(i * 7 + 1) % CATALOGUE:07d}", "spring") for i in range(n))
    path = write_csv(server.folder / "offers.csv", ["id", "label", "items", "campaign"], rows)
    run_import(server, "offers", path, "id=id,label=label,items=items,campaign=campaign", "--batch", 1000)


def fill_customers(server, n):
    rows = ((f"customer-{i:07d}", i % 12, "granted") for i in range(n))
    path = write_csv(server.folder / "customers.csv", ["id", "income", "consent"], rows)
    run_import(server, "customers", path, "id=id,attribute.income=income,consent=consent")


def fill_visits(server, n, visits):
    """n customers with a history: `visits` orders of five lines, of which a regular customer repeats some."""
    fill_items(server, CATALOGUE)
    rng = random.Random(7)

    def rows():
        start = 1_700_000_000
        for v in range(visits):
            for c in range(n):
                favourites = [(c * 31 + k * 17) % CATALOGUE for k in range(10)]
                lines = set()
                while len(lines) < LINES_A_VISIT:
                    lines.add(rng.choice(favourites) if rng.random() < 0.5 else rng.randrange(CATALOGUE))
                for item in sorted(lines):
                    yield f"customer-{c:07d}", f"order-{c}-{v}", start + (v * n + c) * 2, f"item-{item:07d}", 1, "2.50"

    path = write_csv(server.folder / "events.csv", ["customer", "order", "time", "item", "quantity", "revenue"], rows())
    columns = "kind=:purchase,customer=customer,order=order,time=time,item=item,quantity=quantity,revenue=revenue"
    run_import(server, "events", path, columns, "--history")


def fill_table(server, items, baskets):
    rng = random.Random(3)
    path = server.folder / "baskets.csv"
    with open(path, "w") as out:
        for _ in range(baskets):
            out.write(",".join(f"item-{rng.randrange(items):07d}" for _ in range(15)) + "\n")
    server.ctl("build", "together", "--input", path, "--basket-lines", "--kind", "cosine", "--keep", 100, "--tables", server.store / "tables")
    server.ctl("--timeout", 120, "table", "publish", "together")
    return folder_bytes(server.store / "tables")


def fill_decisions(server, n, slots, request_ids):
    support.set_up_shop(server)
    placement = server.folder / "placement.textproto"
    placement.write_text(support.PLACEMENT.replace("slate_size: 3", f"slate_size: {slots}"))
    server.ctl("placement", "set", placement)
    support.generate_stubs(server.folder)
    import grpc
    from offerd.v1 import offer_service_pb2, offer_service_pb2_grpc

    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = offer_service_pb2_grpc.OfferServiceStub(channel)
        waiting = []
        for i in range(n):
            request = offer_service_pb2.RankOffersRequest(placement="home", customer_id=f"customer-{i % 1000}")
            if request_ids:
                request.request_id = f"request-{i:08d}"
            waiting.append(stub.RankOffers.future(request))
            if len(waiting) == 200:
                for call in waiting:
                    call.result()
                waiting = []
        for call in waiting:
            call.result()
    deadline = time.monotonic() + 60
    while server.status()["open_decisions"] < n and time.monotonic() < deadline:
        time.sleep(0.1)
    if server.status()["open_decisions"] != n:
        raise RuntimeError(f"{server.status()['open_decisions']} open decisions, expected {n}")


def fill_everything(server):
    """All of it together, to hold the formula of docs/sizing.md to a server that has everything."""
    fill_items(server, 100_000)
    fill_offers(server, 10_000)
    fill_visits(server, 20_000, 10)
    fill_customers(server, 100_000)  # the first 20,000 are those with visits
    fill_decisions(server, 20_000, 10, True)
    return fill_table(server, 50_000, 400_000)


BLOCK_CACHE = 67e6  # RocksDB's, filled by what is read from the disk


def estimate():
    """The formula without the block cache, with the numbers of fill_everything: the generator's visits hold 70 different categories
    and brands a customer, and items that 71 different offers cover."""
    return (35e6 + 100_000 * 510 + 10_000 * 910 + 80_000 * 500 + 20_000 * (2_700 + 24 * 10 + 4 * 50 + 40 * (70 + 71))
            + 20_000 * (360 + 10 * (186 + 4 * 5)) + 20_000 * 480 + 50_000 * (8 * 100 + 40))


def measure(fill, **settings):
    folder = support.Folder()
    try:
        # Decisions in memory only for the case that asks for more, so that it is that which is measured.
        server = support.Server(folder.path, **{"durability": "WRITTEN", "max_stored_replies": 100, "snapshot_interval_seconds": 86400, **settings})
        server.start()
        started = resident_bytes(server)
        begin = time.monotonic()
        extra = fill(server)
        seconds = time.monotonic() - begin
        running = resident_bytes(server)
        begin = time.monotonic()
        if server.terminate() != 0:
            raise RuntimeError("offerd did not stop cleanly")
        stop = time.monotonic() - begin
        begin = time.monotonic()
        server.start()
        start = time.monotonic() - begin
        restarted = resident_bytes(server)
        snapshot = [json.loads(line) for line in server.log.read_text().splitlines() if '"recovered"' in line][0]
        server.terminate()
        return {"empty": started, "running": running, "restarted": restarted, "store": folder_bytes(server.store), "fill_seconds": round(seconds, 1),
                "stop_seconds": round(stop, 2), "start_seconds": round(start, 2), "replayed": snapshot["replayed"], "extra": extra}
    finally:
        folder.close()


CASES = {
    # name: (thing counted, numbers, filling, settings)
    "items": ("item", (50_000, 250_000), fill_items, {}),
    "offers": ("offer", (5_000, 25_000), fill_offers, {}),
    "customers": ("customer without history", (50_000, 250_000), fill_customers, {}),
    "visits_10": ("customer with 10 visits of 5 lines", (5_000, 20_000), lambda s, n: fill_visits(s, n, 10), {}),
    "visits_40": ("customer with 40 visits of 5 lines", (2_500, 10_000), lambda s, n: fill_visits(s, n, 40), {}),
    "neighbours": ("item of a table with 100 neighbours", (10_000, 50_000), lambda s, n: fill_table(s, n, n * 8), {}),
    "open_1": ("open decision of 1 slot, 5 features", (5_000, 25_000), lambda s, n: fill_decisions(s, n, 1, False), {}),
    "open_10": ("open decision of 10 slots, 5 features", (5_000, 25_000), lambda s, n: fill_decisions(s, n, 10, False), {}),
    "replies_10": ("the same, answer kept for repeats", (5_000, 25_000), lambda s, n: fill_decisions(s, n, 10, True), {"max_stored_replies": 200_000}),
}


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--only", default=",".join(CASES))
    arguments.add_argument("--output")
    arguments.add_argument("--check", action="store_true", help="a server with everything against the formula of docs/sizing.md, nothing else")
    arguments = arguments.parse_args()
    if arguments.check:
        found = measure(fill_everything, max_stored_replies=200_000)
        print(f"formula {estimate() / 1e6:.0f} to {(estimate() + BLOCK_CACHE) / 1e6:.0f} MB, restarted {found['restarted'] / 1e6:.0f} MB, running {found['running'] / 1e6:.0f} MB; "
              f"start {found['start_seconds']} s, stop {found['stop_seconds']} s, on disk {found['store'] / 1e6:.0f} MB")
        return
    results = {}
    for name in arguments.only.split(","):
        thing, numbers, fill, settings = CASES[name]
        small, large = (measure(lambda server, n=n: fill(server, n), **settings) for n in numbers)
        step = numbers[1] - numbers[0]
        slope = {key: round((large[key] - small[key]) / step) for key in ("running", "restarted", "store")}
        results[name] = {"thing": thing, "numbers": numbers, "bytes_each": slope, "small": small, "large": large}
        print(f"{name:12} {thing:42} {slope['restarted']:7} B each restarted, {slope['running']:7} running, {slope['store']:7} on disk; "
              f"start {large['start_seconds']} s, stop {large['stop_seconds']} s at {numbers[1]:,}", flush=True)
    if arguments.output:
        pathlib.Path(arguments.output).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
