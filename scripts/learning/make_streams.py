#!/usr/bin/env python3
"""Writes recorded streams for `offerctl learn`: the demo's visits, in-vehicle coupons, Open Bandit logs, classification sets.

  make_streams.py --out FOLDER [--demo build/demo/data] [--shared ../shared/data] [--classification] [--seed N]

Complete Journey (hits or sales value, full information):
  journey-columns.jsonl.gz, journey-value.jsonl.gz   candidates carry the 44 columns of scripts/demo_data/FEATURES.md beside the constant
  journey-facts.jsonl.gz                             candidates carry 28 raw facts, the context eight: for the default feature list
In-vehicle coupons (replay): coupon-N.jsonl, rows in N orders; candidates are the five kinds of venue.
Open Bandit, men (replay): obd-random.jsonl, obd-bts.jsonl; candidates are the 34 items with their context and the user's affinity.
Classification (full information, reward 1 for the right class): digits, letter, satellite; ids are the classes.
"""

import argparse
import csv
import gzip
import io
import json
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "demo_data"))

ORDERS = 5


def write_lines(path, rows):
    opener = gzip.open(path, "wt", compresslevel=1, encoding="utf-8") if path.endswith(".gz") else open(path, "w", encoding="utf-8")
    count = 0
    with opener as file:
        for row in rows:
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
            count += 1
    print(f"{path}: {count} decisions", flush=True)


def read_csv(path):
    if path.endswith(".zst"):
        text = subprocess.run(["zstdcat", path], check=True, capture_output=True).stdout.decode("utf-8")
        return list(csv.DictReader(io.StringIO(text)))
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# --- Complete Journey ------------------------------------------------------------------------------------------------

CONTEXT = ("days_since_visit", "mean_basket_size", "visits_per_week", "context.has_redeemed", "customer.income")
RAW = ("own_offer_rate", "own_offer_rate_decayed", "own_category_rate", "own_category_rate_decayed", "population_offer_rate_28d",
       "population_offer_rate_7d", "population_category_rate_28d", "own_offer_days_since", "own_category_days_since", "own_offer_due",
       "own_category_due", "own_offer_count", "own_offer_in_last_visit", "sent", "offer.campaign_type", "offer.department",
       "offer.products", "offer.median_price", "offer.private_label_share", "candidate.mailer", "candidate.display")


def journey(folder, out):
    import numpy as np
    import reference

    def rounded(value):
        return float(f"{value:.6g}")

    files = {name: gzip.open(os.path.join(out, f"journey-{name}.jsonl.gz"), "wt", compresslevel=1) for name in ("columns", "value", "facts")}
    world = reference.World(folder)
    for seconds, name, items in reference.history(folder):
        world.add_visit(seconds, name, items)
    names = [name for name in reference.FEATURES if name != "constant"]
    count = 0
    with gzip.open(os.path.join(folder, "stream.jsonl.gz"), "rt", encoding="utf-8") as file:
        for line in file:
            visit = json.loads(line)
            lines = [(int(entry["item"]), entry["revenue"]) for entry in visit["lines"]]
            if visit["candidates"]:
                visit["candidates"].sort(key=lambda candidate: world.catalogue.number[candidate["id"]])
                pick = np.array([world.catalogue.number[candidate["id"]] for candidate in visit["candidates"]])
                facts = world.facts(visit, pick)
                x = reference.encode(facts, names)
                value = np.zeros(len(world.catalogue.number))
                for item, revenue in lines:
                    if item in world.catalogue.offers_of:
                        value[world.catalogue.offers_of[item]] += revenue
                value = np.minimum(value[pick], reference.VALUE_CAP)
                hit = world.catalogue.held([item for item, _ in lines])[0][pick]
                ids = [candidate["id"] for candidate in visit["candidates"]]
                base = {"time": visit["time"], "customer": visit["customer"]}
                rows = [{name: rounded(v) for name, v in zip(names, row) if v != 0} for row in x]
                for kind, rewards in (("columns", hit), ("value", value)):
                    candidates = [{"id": i, "features": f, "reward": round(float(r), 2)} for i, f, r in zip(ids, rows, rewards)]
                    files[kind].write(json.dumps({**base, "candidates": candidates}, separators=(",", ":")) + "\n")
                raw = []
                for i in range(len(ids)):
                    entry = {}
                    for name in RAW:
                        v = facts[name][i]
                        if isinstance(v, str):
                            entry[name] = v
                        elif v == v:
                            entry[name] = rounded(float(v))
                    raw.append(entry)
                context = {name: rounded(float(facts[name])) for name in CONTEXT if facts[name] == facts[name]}
                context.update(evening=visit["context"].get("evening", 0), weekend=visit["context"].get("weekend", 0))
                candidates = [{"id": i, "features": f, "reward": float(r)} for i, f, r in zip(ids, raw, hit)]
                files["facts"].write(json.dumps({**base, "context": context, "candidates": candidates}, separators=(",", ":")) + "\n")
                count += 1
            world.add_visit(visit["time"], visit["customer"], [item for item, _ in lines])
    for file in files.values():
        file.close()
    print(f"journey: {count} decisions", flush=True)


# --- replay logs -----------------------------------------------------------------------------------------------------


def coupons(shared, out):
    rows = read_csv(os.path.join(shared, "in-vehicle-coupon", "in-vehicle-coupon-recommendation.csv.zst"))
    venues = sorted({row["coupon"] for row in rows})
    share = {venue: sum(row["coupon"] == venue for row in rows) / len(rows) for venue in venues}

    def decisions(order):
        for number in order:
            row = rows[number]
            context = {name: value for name, value in row.items() if name not in ("coupon", "class", "Y") and value != ""}
            yield {"time": number, "context": context, "candidates": [{"id": venue} for venue in venues],
                   "logged": {"id": row["coupon"], "probability": round(share[row["coupon"]], 6), "reward": int(row["class"])}}

    for order in range(ORDERS):
        numbers = list(range(len(rows)))
        if order > 0:
            random.Random(order).shuffle(numbers)
        write_lines(os.path.join(out, f"coupon-{order}.jsonl"), decisions(numbers))


def open_bandit(shared, out):
    for behaviour in ("random", "bts"):
        folder = os.path.join(shared, "obd", behaviour, "men")
        items = {row["item_id"]: {f"item{k}": row[f"item_feature_{k}"] if k else float(row["item_feature_0"]) for k in range(4)}
                 for row in read_csv(os.path.join(folder, "item_context.csv"))}
        rows = read_csv(os.path.join(folder, "men.csv.zst"))

        def decisions():
            for number, row in enumerate(rows):
                context = {f"user{k}": row[f"user_feature_{k}"] for k in range(4)}
                context["position"] = row["position"]
                candidates = [{"id": item, "features": {**features, "affinity": float(row[f"user-item_affinity_{item}"])}}
                              for item, features in items.items()]
                yield {"time": number, "context": context, "candidates": candidates,
                       "logged": {"id": row["item_id"], "probability": float(row["propensity_score"]), "reward": int(row["click"])}}

        write_lines(os.path.join(out, f"obd-{behaviour}.jsonl.gz"), decisions())


# --- classification --------------------------------------------------------------------------------------------------


def classification(out):
    """digits of scikit-learn; letter and satellite of Debian's r-cran-mlbench (UCI data)."""
    import numpy as np
    sets = {}
    try:
        from sklearn.datasets import load_digits
        digits = load_digits()
        sets["digits"] = (digits.data / 16.0, [str(label) for label in digits.target])
    except ImportError:
        print("digits left out: scikit-learn is not there")
    package = os.path.join(out, "r-cran-mlbench")
    if not os.path.isdir(package):
        os.makedirs(package)
        subprocess.run("apt-get download r-cran-mlbench && dpkg-deb -x r-cran-mlbench_*.deb .", shell=True, check=True, cwd=package)
    import rdata
    data = os.path.join(package, "usr/lib/R/site-library/mlbench/data")
    for name, object_name, label in (("letter", "LetterRecognition", "lettr"), ("satellite", "Satellite", "classes")):
        frame = rdata.read_rda(os.path.join(data, f"{object_name}.rda"))[object_name]
        values = frame.drop(columns=[label]).to_numpy(dtype=float)
        sets[name] = ((values - values.min(axis=0)) / (np.ptp(values, axis=0) + 1e-9), [str(v) for v in frame[label]])
    for name, (values, labels) in sets.items():
        classes = sorted(set(labels))
        for order in range(ORDERS):
            numbers = np.random.default_rng(order).permutation(len(labels))
            write_lines(os.path.join(out, f"{name}-{order}.jsonl.gz"), (
                {"time": int(at), "context": {f"x{k}": round(float(v), 4) for k, v in enumerate(values[number])},
                 "candidates": [{"id": c, "reward": int(c == labels[number])} for c in classes]}
                for at, number in enumerate(numbers)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--demo", help="folder written by scripts/demo_data/convert.py")
    parser.add_argument("--shared", help="the folder ../shared/data")
    parser.add_argument("--classification", action="store_true")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    if arguments.shared:
        coupons(arguments.shared, arguments.out)
        open_bandit(arguments.shared, arguments.out)
    if arguments.classification:
        classification(arguments.out)
    if arguments.demo:
        journey(arguments.demo, arguments.out)


if __name__ == "__main__":
    main()
