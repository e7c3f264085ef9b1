#!/usr/bin/env python3
"""What simple orders and the demo's linear learner earn on the converted stream, by an independent simulation.

    reference.py --data DIR [--seed 7] [--seeds N] [--visits N] [--helpers]    DIR is the --out folder of convert.py
    reference.py --features                                                    prints the feature table of FEATURES.md

A development tool: the figures tell what the service should reach when it plays the same files. It reads nothing but the
written files, and shares no code with the service or with convert.py. Everything it knows at a visit was known before it.
"""

import argparse
import csv
import gzip
import json
import os
import time
from dataclasses import dataclass

import numpy as np

DAY = 86400
OWN_HALF_LIFE_DAYS = 56
PRIOR_VISITS = 5  # own rate = (count + PRIOR_VISITS x population rate) / (visits + PRIOR_VISITS)
POPULATION_HALF_LIVES_DAYS = (28, 7)
VALUE_CAP = 20.0  # dollars of covered lines


# --- the declared features -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant:
    def formula(self):
        return "1"

    def column(self, facts, columns):
        return np.ones_like(facts["own_offer_count"], dtype=float)


@dataclass(frozen=True)
class Numeric:
    """Clamp to maximum, transform, multiply. A missing fact (NaN) gives `missing`."""

    fact: str
    transform: str = "identity"
    multiplier: float = 1.0
    maximum: float = float("inf")
    missing: float = 0.0
    scale: float = 1.0

    def formula(self):
        inner = f"min({self.fact}, {self.maximum:g})" if np.isfinite(self.maximum) else self.fact
        inner = {"identity": inner, "log1p": f"log1p({inner})", "sqrt": f"sqrt({inner})",
                 "exp": f"exp(-{inner} / {self.scale:g})"}[self.transform]
        inner = inner if self.multiplier == 1 else f"{self.multiplier:g} x {inner}"
        return f"{inner}; {self.missing:g} where missing" if self.fact in CAN_BE_MISSING else inner

    def column(self, facts, columns):
        x = np.minimum(np.asarray(facts[self.fact], dtype=float), self.maximum)
        y = {"identity": lambda: x, "log1p": lambda: np.log1p(x), "sqrt": lambda: np.sqrt(x),
             "exp": lambda: np.exp(-x / self.scale)}[self.transform]() * self.multiplier
        return np.where(np.isnan(x), self.missing, y)


@dataclass(frozen=True)
class OneHot:
    fact: str
    value: str

    def formula(self):
        return f'{self.fact} is "{self.value}"'

    def column(self, facts, columns):
        return (facts[self.fact] == self.value).astype(float)


@dataclass(frozen=True)
class Cross:
    left: str
    right: str

    def formula(self):
        return f"{self.left} x {self.right}"

    def column(self, facts, columns):
        return columns[self.left] * columns[self.right]


CAN_BE_MISSING = {"own_offer_days_since", "own_category_days_since", "own_offer_due", "own_category_due",
                  "days_since_visit", "mean_basket_size", "visits_per_week", "customer.income", "offer.median_price"}

# Facts that only crosses use: they say nothing about which candidate is better, so they are no columns of their own.
HELPERS = {
    "days_since_visit": Numeric("days_since_visit", "log1p", multiplier=0.25, maximum=50),
    "basket_size": Numeric("mean_basket_size", "log1p", multiplier=0.25, maximum=50),
    "visits_per_week": Numeric("visits_per_week", multiplier=0.2, maximum=5),
    "trend": Numeric("population_offer_trend", multiplier=0.5, maximum=2),
    "has_redeemed": Numeric("context.has_redeemed"),
    "income": Numeric("customer.income", multiplier=1 / 12, missing=0.4),
}

FEATURES = {
    "constant": Constant(),
    "own_offer": Numeric("own_offer_rate"),
    "own_offer_decayed": Numeric("own_offer_rate_decayed"),
    "own_category": Numeric("own_category_rate"),
    "own_category_decayed": Numeric("own_category_rate_decayed"),
    "population_offer": Numeric("population_offer_rate_28d"),
    "population_offer_7d": Numeric("population_offer_rate_7d"),
    "population_category": Numeric("population_category_rate_28d"),
    "offer_recency": Numeric("own_offer_days_since", "exp", scale=30),
    "category_recency": Numeric("own_category_days_since", "exp", scale=30),
    "offer_due": Numeric("own_offer_due", multiplier=0.5, maximum=2),
    "category_due": Numeric("own_category_due", multiplier=0.5, maximum=2),
    "bought_ever": Numeric("own_offer_count", maximum=1),
    "bought_last_visit": Numeric("own_offer_in_last_visit"),
    "sent": Numeric("sent"),
    "type_a": OneHot("offer.campaign_type", "A"),
    "type_b": OneHot("offer.campaign_type", "B"),
    "type_c": OneHot("offer.campaign_type", "C"),
    "products": Numeric("offer.products", "log1p", multiplier=0.125),
    "private_label": Numeric("offer.private_label_share"),
    "price": Numeric("offer.median_price", "log1p", multiplier=0.4),
    "mailer": Numeric("candidate.mailer"),
    "display": Numeric("candidate.display"),
    "grocery": OneHot("offer.department", "GROCERY"),
    "drug": OneHot("offer.department", "DRUG GM"),
    "produce": OneHot("offer.department", "PRODUCE"),
    "meat_packaged": OneHot("offer.department", "MEAT-PCKGD"),
    "meat": OneHot("offer.department", "MEAT"),
    "nutrition": OneHot("offer.department", "NUTRITION"),
    "own_category_root": Numeric("own_category_rate", "sqrt"),
    "own_offer_root": Numeric("own_offer_rate", "sqrt"),
    "population_offer_root": Numeric("population_offer_rate_28d", "sqrt"),
    "own_offer_decayed_root": Numeric("own_offer_rate_decayed", "sqrt"),
    "own_offer_x_days_since_visit": Cross("own_offer", "days_since_visit"),
    "own_offer_x_basket_size": Cross("own_offer", "basket_size"),
    "own_offer_x_visits_per_week": Cross("own_offer", "visits_per_week"),
    "own_offer_x_trend": Cross("own_offer", "trend"),
    "own_offer_x_mailer": Cross("own_offer", "mailer"),
    "own_offer_x_display": Cross("own_offer", "display"),
    "own_offer_x_own_category": Cross("own_offer", "own_category"),
    "own_offer_decayed_x_offer_recency": Cross("own_offer_decayed", "offer_recency"),
    "offer_recency_x_days_since_visit": Cross("offer_recency", "days_since_visit"),
    "sent_x_has_redeemed": Cross("sent", "has_redeemed"),
    "private_label_x_income": Cross("private_label", "income"),
    "price_x_income": Cross("price", "income"),
}
assert len(FEATURES) == 45


def feature_table():
    rows = ["| # | name | formula |", "| --- | --- | --- |"]
    rows += [f"| h{i} | {name} | {feature.formula()} |" for i, (name, feature) in enumerate(HELPERS.items(), 1)]
    rows += [f"| {i} | {name} | {feature.formula()} |" for i, (name, feature) in enumerate(FEATURES.items(), 1)]
    return "\n".join(rows)


def encode(facts, names):
    columns = {}
    for name, feature in (HELPERS | FEATURES).items():
        columns[name] = feature.column(facts, columns)
    return np.stack([np.broadcast_to(columns[name], columns["constant"].shape) for name in names], axis=1)


# --- the written files -----------------------------------------------------------------------------------------------


def read_csv(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class Catalogue:
    """Offers, and for every item the numbers of the offers that cover it and of its category."""

    def __init__(self, folder):
        offers = read_csv(os.path.join(folder, "offers.csv.gz"))
        offers.sort(key=lambda offer: offer["offer_id"].encode())  # so that the lowest number is the lowest id
        self.number = {offer["offer_id"]: i for i, offer in enumerate(offers)}
        self.campaign = [offer["campaign"] for offer in offers]
        self.type = np.array([offer["campaign_type"] for offer in offers])
        self.department = np.array([offer["department"] for offer in offers])
        self.products = np.array([float(offer["products"]) for offer in offers])
        self.private_label_share = np.array([float(offer["private_label_share"]) for offer in offers])
        self.median_price = np.array([float(offer["median_price"] or "nan") for offer in offers])
        categories = sorted({offer["category"] for offer in offers})
        self.category = np.array([categories.index(offer["category"]) for offer in offers])
        self.num_categories = len(categories)
        covers = {}
        for i, offer in enumerate(offers):
            for item in offer["item_ids"].split("|"):
                covers.setdefault(int(item), []).append(i)
        self.offers_of = {item: np.array(numbers) for item, numbers in covers.items()}
        category_number = {name: i for i, name in enumerate(categories)}
        self.category_of = {int(row["item_id"]): category_number[row["category"]]
                            for row in read_csv(os.path.join(folder, "items.csv.gz")) if row["category"] in category_number}

    def held(self, items):
        """Which offers cover an item of the basket, and which categories it holds: two arrays of 0 and 1."""
        offers, categories = np.zeros(len(self.number)), np.zeros(self.num_categories)
        for item in items:
            if item in self.offers_of:
                offers[self.offers_of[item]] = 1
            if item in self.category_of:
                categories[self.category_of[item]] = 1
        return offers, categories


def history(folder):
    """(time, customer, items) of every order before the stream."""
    with gzip.open(os.path.join(folder, "purchases.csv.gz"), "rt", encoding="utf-8") as file:
        next(file)
        last, visit = None, None
        for line in file:
            customer, order, seconds, item, _ = line.split(",", 4)
            if order != last:
                if visit:
                    yield visit
                last, visit = order, (int(seconds), customer, [])
            visit[2].append(int(item))
        if visit:
            yield visit


# --- facts known before a visit --------------------------------------------------------------------------------------


class Population:
    """Visits of all customers and those that held a thing, weight 2^(-(days passed) / half-life), whole UTC days."""

    def __init__(self, size, half_life_days):
        self.half_life_days = half_life_days
        self.day, self.visits, self.counts = None, 0.0, np.zeros(size)

    def move_to(self, seconds):
        day = seconds // DAY
        if self.day is not None and day > self.day:
            weight = 2.0 ** (-(day - self.day) / self.half_life_days)
            self.visits *= weight
            self.counts *= weight
        self.day = day

    def add(self, held):
        self.visits += 1
        self.counts += held

    def rates(self):
        return self.counts / max(self.visits, 1e-9)


class Own:
    """One customer's visits that held a thing (offer or category)."""

    def __init__(self, size):
        self.counts, self.decayed = np.zeros(size), np.zeros(size)
        self.first, self.last = np.full(size, np.nan), np.full(size, np.nan)

    def add(self, held, seconds, decay):
        self.decayed *= decay
        self.decayed += held
        now = held > 0
        self.counts[now] += 1
        self.first[now & np.isnan(self.first)] = seconds
        self.last[now] = seconds

    def days_since(self, pick, seconds):
        return (seconds - self.last[pick]) / DAY

    def due(self, pick, seconds):
        """Days since the last over the mean gap (at least a day); missing before the second."""
        counts = self.counts[pick]
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = np.maximum((self.last[pick] - self.first[pick]) / DAY / (counts - 1), 1.0)
        return np.where(counts >= 2, self.days_since(pick, seconds) / gap, np.nan)


class Customer:
    def __init__(self, catalogue):
        self.visits, self.decayed_visits, self.distinct_items = 0, 0.0, 0
        self.first = self.last = None
        self.offers, self.categories = Own(len(catalogue.number)), Own(catalogue.num_categories)
        self.last_offers = np.zeros(len(catalogue.number))

    def decay_to(self, seconds):
        return 1.0 if self.last is None else 2.0 ** (-(seconds // DAY - self.last // DAY) / OWN_HALF_LIFE_DAYS)

    def add(self, seconds, offers, categories, distinct_items):
        decay = self.decay_to(seconds)
        self.offers.add(offers, seconds, decay)
        self.categories.add(categories, seconds, decay)
        self.decayed_visits = self.decayed_visits * decay + 1
        self.visits += 1
        self.distinct_items += distinct_items
        self.first = seconds if self.first is None else self.first
        self.last, self.last_offers = seconds, offers


def own_rates(own, pick, population_rate, customer, decay):
    plain = (own.counts[pick] + PRIOR_VISITS * population_rate) / (customer.visits + PRIOR_VISITS)
    decayed = own.decayed[pick] * decay + PRIOR_VISITS * population_rate
    return plain, decayed / (customer.decayed_visits * decay + PRIOR_VISITS)


class World:
    """All facts, moved on visit by visit."""

    def __init__(self, folder):
        self.catalogue = Catalogue(folder)
        rows = read_csv(os.path.join(folder, "customers.csv.gz"))
        self.income = {row["customer_id"]: float(row["income"] or "nan") for row in rows}
        self.campaigns = {row["customer_id"]: set(row["campaigns"].split("|")) for row in rows}
        sizes = len(self.catalogue.number), self.catalogue.num_categories
        self.offer_28d, self.offer_7d = (Population(sizes[0], days) for days in POPULATION_HALF_LIVES_DAYS)
        self.category_28d = Population(sizes[1], POPULATION_HALF_LIVES_DAYS[0])
        self.customers = {}

    def customer(self, name):
        if name not in self.customers:
            self.customers[name] = Customer(self.catalogue)
        return self.customers[name]

    def move_to(self, seconds):
        for population in (self.offer_28d, self.offer_7d, self.category_28d):
            population.move_to(seconds)

    def add_visit(self, seconds, name, items):
        self.move_to(seconds)
        offers, categories = self.catalogue.held(items)
        self.offer_28d.add(offers)
        self.offer_7d.add(offers)
        self.category_28d.add(categories)
        self.customer(name).add(seconds, offers, categories, len(set(items)))
        return offers

    def facts(self, visit, pick):
        seconds, name = visit["time"], visit["customer"]
        self.move_to(seconds)
        customer, catalogue, category = self.customer(name), self.catalogue, self.catalogue.category[pick]
        decay = customer.decay_to(seconds)
        rate_28d, rate_7d, category_rate = (
            self.offer_28d.rates()[pick], self.offer_7d.rates()[pick], self.category_28d.rates()[category])
        own_offer = own_rates(customer.offers, pick, rate_28d, customer, decay)
        own_category = own_rates(customer.categories, category, category_rate, customer, decay)
        known = customer.visits > 0
        sent = self.campaigns.get(name, ())
        return {
            "own_offer_count": customer.offers.counts[pick],
            "own_offer_rate": own_offer[0], "own_offer_rate_decayed": own_offer[1],
            "own_category_rate": own_category[0], "own_category_rate_decayed": own_category[1],
            "own_offer_days_since": customer.offers.days_since(pick, seconds),
            "own_category_days_since": customer.categories.days_since(category, seconds),
            "own_offer_due": customer.offers.due(pick, seconds),
            "own_category_due": customer.categories.due(category, seconds),
            "own_offer_in_last_visit": customer.last_offers[pick],
            "population_offer_rate_28d": rate_28d, "population_offer_rate_7d": rate_7d,
            "population_category_rate_28d": category_rate,
            "population_offer_trend": rate_7d / np.maximum(rate_28d, 1e-9),
            "sent": np.array([float(catalogue.campaign[o] in sent) for o in pick]),
            "offer.campaign_type": catalogue.type[pick], "offer.department": catalogue.department[pick],
            "offer.products": catalogue.products[pick], "offer.median_price": catalogue.median_price[pick],
            "offer.private_label_share": catalogue.private_label_share[pick],
            "candidate.mailer": np.array([float(c["features"]["mailer"]) for c in visit["candidates"]]),
            "candidate.display": np.array([float(c["features"]["display"]) for c in visit["candidates"]]),
            "context.has_redeemed": float(visit["context"]["has_redeemed"]),
            "customer.income": self.income.get(name, np.nan),
            "days_since_visit": (seconds - customer.last) / DAY if known else np.nan,
            "mean_basket_size": customer.distinct_items / customer.visits if known else np.nan,
            "visits_per_week": customer.visits * 7 / max((seconds - customer.first) / DAY, 7.0) if known else np.nan,
        }


class Stream:
    """Every ranked visit: candidates by ascending offer id, features, hits and values."""

    def __init__(self, folder, limit, names):
        world = World(folder)
        for seconds, name, items in history(folder):
            world.add_visit(seconds, name, items)
        self.x, self.hit, self.value, self.orders = [], [], [], {}
        with gzip.open(os.path.join(folder, "stream.jsonl.gz"), "rt", encoding="utf-8") as file:
            for line in file:
                if len(self.x) == limit:
                    break
                self.play(world, json.loads(line), names)

    def play(self, world, visit, names):
        lines = [(int(line["item"]), line["revenue"]) for line in visit["lines"]]
        if visit["candidates"]:
            visit["candidates"].sort(key=lambda candidate: world.catalogue.number[candidate["id"]])
            pick = np.array([world.catalogue.number[candidate["id"]] for candidate in visit["candidates"]])
            facts = world.facts(visit, pick)
            self.x.append(encode(facts, names).astype(np.float32))
            for order in ("own_offer_rate", "own_offer_rate_decayed", "own_category_rate"):
                self.orders.setdefault(order, []).append(facts[order])
            self.orders.setdefault("popularity", []).append(world.offer_28d.counts[pick])
            value = np.zeros(len(world.catalogue.number))
            for item, revenue in lines:
                if item in world.catalogue.offers_of:
                    value[world.catalogue.offers_of[item]] += revenue
            self.value.append(np.minimum(value[pick], VALUE_CAP))
            self.hit.append(world.catalogue.held([item for item, _ in lines])[0][pick])
        world.add_visit(visit["time"], visit["customer"], [item for item, _ in lines])


# --- orders and learner ----------------------------------------------------------------------------------------------


class Linear:
    """Ridge regression of hits on features, Thompson sampling by a finite bag, a bounded randomised share."""

    def __init__(self, dimension, rng, ridge=100.0, bag=32, scale=0.5, share=0.05, reach=3, publish_every=10):
        self.rng, self.ridge, self.bag, self.scale, self.share, self.reach = rng, ridge, bag, scale, share, reach
        self.publish_every, self.decisions = publish_every, 0
        self.gram, self.b = np.zeros((dimension, dimension)), np.zeros(dimension)
        self.yy, self.shown = 0.0, 0
        self.publish()

    def publish(self):
        lower = np.linalg.cholesky(self.gram + self.ridge * np.eye(len(self.b)))
        self.theta = np.linalg.solve(lower.T, np.linalg.solve(lower, self.b))
        residual = self.yy - 2 * self.theta @ self.b + self.theta @ self.gram @ self.theta
        sigma = np.sqrt(max(residual + 0.25, 0.0) / (self.shown + 1))
        draws = np.linalg.solve(lower.T, self.rng.standard_normal((len(self.b), self.bag)))
        self.members = self.theta[:, None] + self.scale * sigma * draws

    def slate(self, x, size):
        if self.decisions and self.decisions % self.publish_every == 0:
            self.publish()
        self.decisions += 1
        base = np.argsort(-(x @ self.theta), kind="stable")
        scores, shown = x @ self.members, []
        for slot in range(size):
            near = [o for o in base[max(0, slot - self.reach):slot + self.reach + 1] if o not in shown]
            if near and self.rng.random() < self.share:
                choice = near[self.rng.integers(len(near))]
            else:
                choice = int(np.argmax(scores[:, self.rng.integers(self.bag)]))
            shown.append(int(choice))
            scores[choice] = -np.inf
        return shown

    def learn(self, x, rewards):
        self.gram += x.T @ x
        self.b += x.T @ rewards
        self.yy += float(rewards @ rewards)
        self.shown += len(rewards)


def play_linear(stream, seed, slate_size=5, **options):
    learner = Linear(stream.x[0].shape[1], np.random.default_rng(seed), **options)
    slates = []
    for x, hit in zip(stream.x, stream.hit):
        x = x.astype(float)
        shown = learner.slate(x, slate_size)
        slates.append(shown)
        learner.learn(x[shown], hit[shown])
    return np.array(slates)


def report(stream, name, slates):
    hit, value = (np.array([row[shown] for row, shown in zip(rows, slates)]) for rows in (stream.hit, stream.value))
    first = hit[:, 0]
    print(f"{name:<44} {first[:1000].mean():7.4f} {first[:5000].mean():7.4f} {first.mean():7.4f} "
          f"{first[len(first) // 2:].mean():7.4f} {value[:, 0].mean():7.4f} {hit[:, :5].sum(axis=1).mean():7.4f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder written by convert.py")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=1, help="runs of the learner")
    parser.add_argument("--visits", type=int, default=-1, help="ranked visits to play; default all")
    parser.add_argument("--helpers", action="store_true", help="the facts of crosses are columns too")
    parser.add_argument("--features", action="store_true", help="print the feature table and exit")
    arguments = parser.parse_args()
    if arguments.features:
        print(feature_table())
        return
    if not arguments.data:
        parser.error("--data is required")
    begun = time.monotonic()
    names = [*(HELPERS if arguments.helpers else ()), *FEATURES]
    stream = Stream(arguments.data, arguments.visits, names)
    print(f"{len(stream.x)} ranked visits read and encoded in {time.monotonic() - begun:.0f} s")
    print(f"{'hits of slot 1':<44} {'1,000':>7} {'5,000':>7} {'all':>7} {'half':>7} {'value':>7} {'top 5':>7}")
    rng = np.random.default_rng(arguments.seed)
    report(stream, "random", [rng.permutation(len(row))[:5] for row in stream.hit])
    labels = {"popularity": "popularity of the offer, half-life 28 days", "own_category_rate": "own category frequency",
              "own_offer_rate": "own offer frequency", "own_offer_rate_decayed": "own offer frequency, half-life 56 days"}
    for order, label in labels.items():
        report(stream, label, [np.argsort(-row, kind="stable")[:5] for row in stream.orders[order]])
    for run in range(arguments.seeds):
        for share in (0.05, 0.0):
            begun = time.monotonic()
            slates = play_linear(stream, arguments.seed + run, share=share)
            report(stream, f"linear, {len(names)} columns, randomised share {share:g}", slates)
            print(f"  {1e6 * (time.monotonic() - begun) / len(slates):.0f} us a decision")


if __name__ == "__main__":
    main()
