"""Measures offerd beside its yardsticks, alternately and in pairs: scripts/bench rank_offers|cross_sell|feedback|all.

The yardstick of the calls is offerd_echo, which has the same queues, gate and messages and nothing behind them; that of feedback
is RocksDB alone with the same bytes. Each pair starts a server on a fresh copy of a seeded store. What is compared is the ratio within a
pair; the medians of the pairs are reported, with their spread. docs/performance.md says what the numbers mean.
"""

import argparse
import contextlib
import datetime
import json
import mmap
import os
import pathlib
import random
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
import support  # noqa: E402

BIN = support.BIN
OFFERS, CUSTOMERS, ITEMS, NEIGHBOURS = 10_000, 100_000, 100_000, 100
VISITS, LINES = 3, 4  # of each customer before the measurement
COLUMNS = 64
COMPACT_CANDIDATES = 500
queues = 1  # completion queues of either server, a thread each; --queues
RATE = 10_000
IN_FLIGHT = 32
EVENTS, EVENT_BYTES = 100, 100
TICKS = os.sysconf("SC_CLK_TCK")
COMMIT = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()

# Every fact that differs between customers or offers of the shop, and what keeps it within a few units.
FACTS = {
    "hour": 0.04, "weekday": 0.15, "is_known": 1, "visits": 0.1, "days_since_visit": 0.02, "mean_basket_size": 0.1, "visits_per_week": 0.2,
    "own_offer_count": 1, "own_offer_count_decayed": 1, "own_offer_rate": 1, "own_offer_rate_decayed": 1, "own_category_count": 0.5,
    "own_category_count_decayed": 0.5, "own_category_rate": 1, "own_category_rate_decayed": 1, "own_brand_rate": 1, "own_brand_rate_decayed": 1,
    "days_since_offer": 0.02, "days_since_category": 0.02, "offer_due": 0.5, "category_due": 0.5, "offer_mean_gap_days": 0.02,
    "category_mean_gap_days": 0.02, "offer_bought_ever": 1, "offer_bought_last_visit": 1, "offer_rate": 10, "offer_rate_fast": 10,
    "offer_trend": 0.25, "category_rate": 5, "category_rate_fast": 5, "brand_rate": 5, "offer_items": 0.2, "offer_price": 0.02, "offer_margin": 0.05,
}


def log(text):
    print(text, file=sys.stderr, flush=True)


def policy_text():
    columns = [(fact, "IDENTITY") for fact in FACTS] + [(fact, "SQRT") for fact in FACTS]
    lines = []
    for fact, transform in columns[:COLUMNS]:
        name = fact if transform == "IDENTITY" else f"{fact}_root"
        lines.append(f'    features {{ name: "{name}" numeric {{ fact: "computed.{fact}" transform: {transform} multiplier: {FACTS[fact]} minimum: 0 maximum: 1000 }} }}')
    return 'name: "learned"\nlinear {\n  features {\n' + "\n".join(lines) + "\n  }\n}\n"


PLACEMENTS = {
    "home": 'name: "home" policy: "learned" mode: LIVE slate_size: 10 '
    "reward { weights { kind: PURCHASE weight: 1 } weights { kind: CLICK weight: 0.1 } aggregation: MAX }",
    "cart": 'name: "cart" slate_size: 10 lists { strategies { kind: NEIGHBOURS table: "together" } fallbacks { kind: POPULAR } }',
}


class Shop:
    """A seeded store and the tables beside it, copied for each server."""

    def __init__(self, folder, table_memory="COPIED"):
        self.table_memory = table_memory
        self.folder = pathlib.Path(folder)
        self.tables = self.folder / "tables"
        self.marker = self.folder / "seeded"

    def settings(self):
        return {"durability": "WRITTEN", "table_memory": self.table_memory, "completion_queues": queues, "tables_path": f'"{self.tables}"', "max_stored_replies": "200000"}

    def seed(self):
        if self.marker.exists():
            return
        begin = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        subprocess.run([BIN / "bench_table", self.tables, "together", str(ITEMS), str(NEIGHBOURS)], check=True)
        server = support.Server(self.folder, **self.settings())
        server.start()
        try:
            self.fill(server)
            if server.terminate() != 0:
                raise RuntimeError("offerd did not stop cleanly")
        finally:
            server.close()
        for path in self.folder.glob("*.csv"):
            path.unlink()
        self.marker.write_text("")
        log(f"seeded {OFFERS:,} offers, {CUSTOMERS:,} customers with {VISITS} visits, {ITEMS:,} items in {time.monotonic() - begin:.0f} s")

    def write_csv(self, name, header, rows):
        path = self.folder / name
        with open(path, "w") as out:
            out.write(",".join(header) + "\n")
            for row in rows:
                out.write(",".join(map(str, row)) + "\n")
        return path

    def fill(self, server):
        def run_import(kind, path, columns, *more):
            server.ctl("--timeout", 120, "import", kind, path, "--columns", columns, *more)

        rng = random.Random(7)
        rows = ((f"item-{i:07d}", f"category-{i % 500}", f"brand-{i % 2000}", f"{1 + i % 90}.99", f"{i % 50}.49") for i in range(ITEMS))
        run_import("items", self.write_csv("items.csv", ["id", "category", "brand", "price", "cost"], rows),
                   "id=id,category=category,brand=brand,price=price,cost=cost", "--batch", 1000)
        rows = ((f"offer-{i:06d}", "|".join(f"item-{rng.randrange(ITEMS):07d}" for _ in range(4))) for i in range(OFFERS))
        run_import("offers", self.write_csv("offers.csv", ["id", "items"], rows), "id=id,items=items", "--batch", 1000)
        rows = ((f"customer-{i:07d}", "granted") for i in range(CUSTOMERS))
        run_import("customers", self.write_csv("customers.csv", ["id", "consent"], rows), "id=id,consent=consent", "--batch", 1000)

        def visits():
            start = int(time.time()) - 60 * 86400
            step = 59 * 86400 / (CUSTOMERS * VISITS)
            for v in range(VISITS):
                for c in range(CUSTOMERS):
                    at = start + int((v * CUSTOMERS + c) * step)
                    for _ in range(LINES):
                        yield f"customer-{c:07d}", f"order-{c}-{v}", at, f"item-{int(ITEMS * rng.random() ** 2):07d}", 1, "2.50"

        run_import("events", self.write_csv("events.csv", ["customer", "order", "time", "item", "quantity", "revenue"], visits()),
                   "kind=:purchase,customer=customer,order=order,time=time,item=item,quantity=quantity,revenue=revenue", "--history")
        policy = self.folder / "policy.textproto"
        policy.write_text(policy_text())
        server.ctl("policy", "set", policy)
        server.ctl("--timeout", 120, "table", "publish", "together")
        for name, text in PLACEMENTS.items():
            path = self.folder / f"{name}.textproto"
            path.write_text(text)
            server.ctl("placement", "set", path)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return None


def busy_seconds():
    """Of all cores together; what the host takes away counts as well."""
    fields = list(map(int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
    return (sum(fields[:3]) + sum(fields[5:8])) / TICKS


class Offerd:
    name = "offerd"

    def __init__(self, shop, folder, preload=None):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
        subprocess.run(["cp", "-r", shop.folder / "store", self.folder / "store"], check=True)
        self.server = support.Server(self.folder, **shop.settings())
        with environment(preload):
            self.server.launch()
        self.server.wait_ready()
        self.target = f"127.0.0.1:{self.server.port}"
        self.pid = self.server.process.pid

    def metric(self, name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.server.metrics_port}/metrics").read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name)

    def settle(self):
        deadline = time.monotonic() + 60
        while self.metric("offerd_learner_lag_records") > 0 and time.monotonic() < deadline:
            time.sleep(0.02)

    def dropped(self):
        return int(self.metric("offerd_dropped_decisions_total"))

    def close(self):
        self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Echo:
    name = "echo"

    def __init__(self, shop, folder, preload=None):
        del shop
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
        path = self.folder / "echo.log"
        with open(path, "wb") as out, environment(preload):
            self.process = subprocess.Popen([BIN / "offerd_echo", "--queues", str(queues)], stderr=out)
        while '"event":"ready"' not in path.read_text():
            if self.process.poll() is not None:
                raise RuntimeError(f"offerd_echo ended: {path.read_text()}")
            time.sleep(0.02)
        ready = [json.loads(line) for line in path.read_text().splitlines() if '"ready"' in line][0]
        self.target = f"127.0.0.1:{ready['port']}"
        self.pid = self.process.pid

    def settle(self):
        pass

    def dropped(self):
        return 0

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


@contextlib.contextmanager
def environment(preload):
    """Of a server that is started inside: counts its allocations in the file `preload`."""
    if preload is not None:
        os.environ["MALLOC_COUNT_FILE"] = str(preload)
        os.environ["LD_PRELOAD"] = str(BIN / "libmalloc_count.so")
    try:
        yield
    finally:
        os.environ.pop("LD_PRELOAD", None)
        os.environ.pop("MALLOC_COUNT_FILE", None)


class Disturbance:
    """How much of the machine others took during a measurement."""

    def __init__(self, pid):
        self.pid = pid
        self.begin = time.monotonic()
        self.busy = busy_seconds()
        self.own = self.ours()

    def ours(self):
        children = os.times()
        return (cpu_seconds(self.pid) if self.pid else 0) + children.user + children.system + children.children_user + children.children_system

    def share(self):
        passed = (time.monotonic() - self.begin) * os.cpu_count()
        return max(0.0, (busy_seconds() - self.busy - (self.ours() - self.own)) / passed)


def wait_for_quiet(limit, seconds):
    """Until others leave the machine alone for a second. Nice ones count: with autogroups they give way to their own session only."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = busy_seconds()
        time.sleep(1)
        if (busy_seconds() - before) / os.cpu_count() <= limit:
            return


def load(server, seconds, *arguments, warmup=1.0):
    """One run of the generator; CPU time is counted until the server has worked off what the run left behind."""
    command = [BIN / "bench_load", "--target", server.target, "--server_pid", str(server.pid), "--seconds", str(seconds), "--warmup", str(warmup), *map(str, arguments)]
    watch = Disturbance(server.pid)
    cpu = cpu_seconds(server.pid)
    result = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["result"]
    server.settle()
    result["cpu_us"] = 1e6 * (cpu_seconds(server.pid) - cpu) / max(1, result["all_answered"])
    result["others"] = watch.share()
    if result["poor"] or result["errors"]:
        log(f"  {server.name}: {result['poor']} of {result['checked']} answers with nothing in them, errors {result['errors']}")
    return result


def count_allocations(make, shop, folder, arguments, per_answer=1):
    """Calls of malloc and its kin for each answer of a server that has warmed up: all, and those of the busiest threads."""
    rows = pathlib.Path(folder) / "allocations"

    def read():
        with open(rows, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
            return {thread: calls for thread, calls, _, _ in struct.iter_unpack("<qqqq", memory[:]) if thread}

    server = make(shop, folder, preload=rows)
    try:
        load(server, 2, *arguments)
        before = read()
        result = load(server, 2, *arguments, warmup=0)
        after = read()
        answers = max(1, result["all_answered"] * per_answer)
        threads = []
        for thread, calls in after.items():
            with contextlib.suppress(OSError):
                name = pathlib.Path(f"/proc/{server.pid}/task/{thread}/comm").read_text().strip()
                threads.append((round((calls - before.get(thread, 0)) / answers, 2), name))
        total = sum(after.values()) - sum(before.values())
        return {"all": round(total / answers, 2), "threads": sorted(threads, reverse=True)[:4]}
    except (OSError, ValueError) as error:
        log(f"allocations could not be counted: {error}")
        return None
    finally:
        server.close()


def median(values):
    return round(statistics.median(values), 4)


def spread(values):
    ordered = sorted(values)
    return {"median": median(ordered), "lowest": round(ordered[0], 4), "highest": round(ordered[-1], 4)}


def run_pairs(options, run_pair):
    """`run_pair(n)` until there are enough pairs in which others did not disturb; the least disturbed ones stand in for the rest."""
    good, others = [], []
    for attempt in range(options.pairs + options.retries):
        wait_for_quiet(options.quiet, options.patience)
        pair = run_pair(attempt)
        pair["others"] = max(part["others"] for part in pair["parts"])
        (good if pair["others"] <= options.quiet else others).append(pair)
        log(f"  pair {attempt + 1}: {pair['text']}; others took {100 * pair['others']:.0f} % of the machine")
        if len(good) == options.pairs:
            break
    missing = options.pairs - len(good)
    if missing > 0:
        log(f"  {missing} of {options.pairs} pairs were disturbed")
    return good + sorted(others, key=lambda p: p["others"])[:missing], max(0, missing)


def measure_calls(options, shop, folder, *arguments):
    """Peak of a closed loop, then an open one at the rate, offerd and echo in turns; `arguments` say what is asked."""
    dropped = []

    def run_one(make):
        server = make(shop, folder)
        try:
            load(server, 1, *arguments, "--in_flight", 8, warmup=0)  # models are published, memory is warm
            closed = load(server, options.seconds, *arguments, "--in_flight", IN_FLIGHT)
            opened = load(server, options.seconds, *arguments, "--mode", "open", "--rate", options.rate)
            dropped.append(server.dropped())
            return {"closed": closed, "open": opened, "resident_bytes": resident_bytes(server.pid)}
        finally:
            server.close()

    def run_pair(number):
        order = (Echo, Offerd) if number % 2 == 0 else (Offerd, Echo)
        pair = {make.name: run_one(make) for make in order}
        a, b = pair["offerd"], pair["echo"]
        pair["parts"] = [a["closed"], a["open"], b["closed"], b["open"]]
        pair["throughput_ratio"] = a["closed"]["throughput"] / b["closed"]["throughput"]
        pair["server_cpu_ratio"] = a["closed"]["cpu_us"] / b["closed"]["cpu_us"]
        pair["p99_ratio"] = a["open"]["latency_us"]["p99"] / b["open"]["latency_us"]["p99"]
        pair["p50_ratio"] = a["open"]["latency_us"]["p50"] / b["open"]["latency_us"]["p50"]
        pair["text"] = (f"{a['closed']['throughput']:.0f} / {b['closed']['throughput']:.0f} a second = {pair['throughput_ratio']:.2f}, "
                        f"CPU {a['closed']['cpu_us']:.1f} / {b['closed']['cpu_us']:.1f} us = {pair['server_cpu_ratio']:.2f}, "
                        f"p99 at {options.rate}/s {a['open']['latency_us']['p99']:.0f} / {b['open']['latency_us']['p99']:.0f} us = {pair['p99_ratio']:.2f}")
        return pair

    pairs, disturbed = run_pairs(options, run_pair)
    allocations = {make.name: count_allocations(make, shop, folder, [*arguments, "--in_flight", 8]) for make in (Offerd, Echo)}

    def both(get):
        return {name: spread([get(pair[name]) for pair in pairs]) for name in ("offerd", "echo")}

    return {
        "throughput_ratio": median([p["throughput_ratio"] for p in pairs]),
        "p99_ratio": median([p["p99_ratio"] for p in pairs]),
        "server_cpu_ratio": median([p["server_cpu_ratio"] for p in pairs]),
        "server_cpu_us": {name: median([p[name]["closed"]["cpu_us"] for p in pairs]) for name in ("offerd", "echo")},
        "allocations_per_request": allocations["offerd"]["all"] if allocations["offerd"] else None,
        "dropped_decisions": sum(dropped),
        "p50_ratio": median([p["p50_ratio"] for p in pairs]),
        "ratios": {key: spread([p[key] for p in pairs]) for key in ("throughput_ratio", "p99_ratio", "p50_ratio", "server_cpu_ratio")},
        "throughput": both(lambda x: x["closed"]["throughput"]),
        "server_cpu_us_at_rate": both(lambda x: x["open"]["cpu_us"]),
        "client_cpu_us": both(lambda x: x["closed"]["client_cpu_us"]),
        "p50_us": both(lambda x: x["open"]["latency_us"]["p50"]),
        "p99_us": both(lambda x: x["open"]["latency_us"]["p99"]),
        "resident_bytes": both(lambda x: x["resident_bytes"]),
        "allocations": allocations,
        "rate": options.rate, "in_flight": IN_FLIGHT, "pairs": len(pairs), "disturbed_pairs": disturbed,
        "others": spread([p["others"] for p in pairs]),
    }


def measure_feedback(options, shop, folder):
    """One stream of batches, against RocksDB alone; the echo's stream says what gRPC and the messages cost."""
    arguments = ["--mode", "stream", "--events", EVENTS, "--event_bytes", EVENT_BYTES]
    dropped = []

    def run_server(make):
        server = make(shop, folder)
        try:
            load(server, 1, *arguments, warmup=0)
            result = load(server, options.seconds, *arguments)
            result["resident_bytes"] = resident_bytes(server.pid)
            dropped.append(server.dropped())
            return result
        finally:
            server.close()

    def run_rocks():
        path = tempfile.mkdtemp(dir=folder)
        watch = Disturbance(None)
        out = subprocess.run([BIN / "bench_rocks", path, str(options.seconds), str(EVENTS), str(EVENT_BYTES)], check=True, stdout=subprocess.PIPE).stdout
        shutil.rmtree(path)
        return {**json.loads(out), "others": watch.share()}

    def run_pair(number):
        runs = {"offerd": lambda: run_server(Offerd), "rocks": run_rocks, "echo": lambda: run_server(Echo)}
        names = list(runs) if number % 2 else list(runs)[::-1]
        pair = {name: runs[name]() for name in names}
        events = {"rocks": pair["rocks"]["events_per_second"], **{name: EVENTS * pair[name]["throughput"] for name in ("offerd", "echo")}}
        pair["events"] = events
        pair["parts"] = [pair[name] for name in names]
        pair["throughput_ratio"] = events["offerd"] / events["rocks"]
        pair["echo_throughput_ratio"] = events["offerd"] / events["echo"]
        pair["server_cpu_ratio"] = pair["offerd"]["cpu_us"] / pair["echo"]["cpu_us"]
        pair["p99_ratio"] = pair["offerd"]["latency_us"]["p99"] / pair["echo"]["latency_us"]["p99"]
        pair["text"] = f"{events['offerd']:.0f} / {events['rocks']:.0f} events a second = {pair['throughput_ratio']:.2f}, echo {events['echo']:.0f}"
        return pair

    pairs, disturbed = run_pairs(options, run_pair)
    allocations = {make.name: count_allocations(make, shop, folder, arguments, EVENTS) for make in (Offerd, Echo)}
    keys = ("throughput_ratio", "echo_throughput_ratio", "p99_ratio", "server_cpu_ratio")
    return {
        **{key: median([p[key] for p in pairs]) for key in keys},
        "server_cpu_us": {name: median([p[name]["cpu_us"] / EVENTS for p in pairs]) for name in ("offerd", "echo")},  # of an event
        "allocations_per_request": allocations["offerd"]["all"] if allocations["offerd"] else None,  # of an event
        "dropped_decisions": sum(dropped),
        "ratios": {key: spread([p[key] for p in pairs]) for key in keys},
        "events_per_second": {name: spread([p["events"][name] for p in pairs]) for name in ("offerd", "rocks", "echo")},
        "batch_p99_us": {name: spread([p[name]["latency_us"]["p99"] for p in pairs]) for name in ("offerd", "echo")},
        "resident_bytes": {name: spread([p[name]["resident_bytes"] for p in pairs]) for name in ("offerd", "echo")},
        "allocations": allocations,
        "events": EVENTS, "event_bytes": EVENT_BYTES, "in_flight": IN_FLIGHT, "pairs": len(pairs), "disturbed_pairs": disturbed,
        "others": spread([p["others"] for p in pairs]),
    }


def measure_overload(options, shop, folder):
    """What is left of the peak when three times as much is asked, each call with a deadline of 250 ms."""
    server = Offerd(shop, folder)
    try:
        load(server, 1, "--in_flight", 8, warmup=0)
        peak = load(server, options.seconds, "--in_flight", IN_FLIGHT)
        over = load(server, options.seconds, "--mode", "open", "--rate", int(3 * peak["throughput"]), "--deadline_ms", 250)
        after = load(server, options.seconds, "--mode", "open", "--rate", int(0.3 * peak["throughput"]))
        return {"peak": peak["throughput"], "offered": over["rate"], "unsent": over["unsent"], "goodput": over["in_time"] / over["seconds"],
                "goodput_share": round(over["in_time"] / over["seconds"] / peak["throughput"], 4), "errors": over["errors"],
                "p99_us_afterwards": after["latency_us"]["p99"], "dropped_decisions": server.dropped()}
    finally:
        server.close()


CASES = {
    "rank_offers": lambda o, s, f: measure_calls(o, s, f, "--mix", "rank_offers"),
    "cross_sell": lambda o, s, f: measure_calls(o, s, f, "--mix", "cross_sell"),
    "feedback": measure_feedback,
    "rank_offers_compact": lambda o, s, f: measure_calls(o, s, f, "--mix", "rank_offers", "--compact", "--candidates", COMPACT_CANDIDATES),
    "overload": measure_overload,
}


def machine():
    model = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")][0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    return f"{model}; {os.cpu_count()} cores; {memory} GiB"


def keep(name, result):
    """Into bench/results/load-COMMIT.json, beside the other cases of that commit."""
    path = ROOT / f"bench/results/load-{COMMIT}.json"
    kept = json.loads(path.read_text()) if path.exists() else {"commit": COMMIT, "machine": machine()}
    kept[name] = {"measured": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"), **result}
    path.write_text(json.dumps(kept, indent=1) + "\n")


def main():
    arguments = argparse.ArgumentParser(prog="scripts/bench", description=__doc__.split("\n")[0])
    arguments.add_argument("case", choices=[*CASES, "all"], help="all: the first four")
    arguments.add_argument("--json", action="store_true", help="one JSON object on standard output and nothing else")
    arguments.add_argument("--pairs", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=4, help="counted of each run")
    arguments.add_argument("--queues", type=int, default=1, help="completion queues of both servers, a thread each")
    arguments.add_argument("--rate", type=int, default=RATE, help="calls a second of the open loop")
    arguments.add_argument("--retries", type=int, default=3, help="more pairs in place of those that others disturbed")
    arguments.add_argument("--quiet", type=float, default=0.1, help="share of the machine that others may take")
    arguments.add_argument("--patience", type=float, default=60, help="seconds to wait for a quiet machine before each pair")
    arguments.add_argument("--shop", help="folder of a seeded shop, made when it is not there; default: a temporary one")
    options = arguments.parse_args()
    global queues
    queues = options.queues
    temporary = pathlib.Path(tempfile.mkdtemp(prefix="offerd-bench-"))
    try:
        shop = Shop(options.shop or temporary / "shop")
        shop.seed()
        results = {}
        for name in list(CASES)[:4] if options.case == "all" else [options.case]:
            log(f"{name}:")
            results[name] = CASES[name](options, shop, temporary)
            keep(name, results[name])
        if options.json:
            print(json.dumps(results if options.case == "all" else results[options.case], indent=1))
        else:
            for name, result in results.items():
                for key, value in result.items():
                    print(f"{name}.{key}: {json.dumps(value)}")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


if __name__ == "__main__":
    main()
