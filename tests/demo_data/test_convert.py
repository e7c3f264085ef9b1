"""The rules of scripts/demo_data/convert.py, on a few hand-made tables.

Run with the Python that fetch.sh makes, from the root of the repository:

    OUT_DIR/venv/bin/python -m unittest discover -s tests/demo_data
"""

import csv
import datetime
import gzip
import hashlib
import json
import os
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "demo_data"))

import duckdb  # noqa: E402

import convert  # noqa: E402

SHOP_MIDNIGHT = 1509944400  # 2017-11-06 00:00 in the shops, 05:00 UTC: the stream starts
HOUR, DAY = 3600, 86400

SCHEMA = {
    "campaign_descriptions": "campaign_id BIGINT, campaign_type VARCHAR, start_date TIMESTAMP, end_date TIMESTAMP",
    "campaigns": "campaign_id BIGINT, household_id BIGINT",
    "coupon_redemptions": "household_id BIGINT, coupon_upc BIGINT, campaign_id BIGINT, redemption_date TIMESTAMP",
    "coupons": "coupon_upc BIGINT, product_id BIGINT, campaign_id BIGINT",
    "demographics": "household_id BIGINT, age VARCHAR, income VARCHAR, home_ownership VARCHAR, marital_status VARCHAR, "
                    "household_size VARCHAR, household_comp VARCHAR, kids_count VARCHAR",
    "products": "product_id BIGINT, manufacturer_id BIGINT, department VARCHAR, brand VARCHAR, product_category VARCHAR, "
                "product_type VARCHAR, package_size VARCHAR",
    "promotions": "product_id BIGINT, store_id BIGINT, display_location VARCHAR, mailer_location VARCHAR, week BIGINT",
    "transactions": "household_id BIGINT, store_id BIGINT, basket_id BIGINT, product_id BIGINT, quantity BIGINT, "
                    "sales_value DOUBLE, retail_disc DOUBLE, coupon_disc DOUBLE, coupon_match_disc DOUBLE, week BIGINT, "
                    "transaction_timestamp TIMESTAMP",
}

LISTED = [f"CATEGORY {number:03d}" for number in range(70)]
SENT_CAMPAIGN, OTHER_CAMPAIGN, LATE_CAMPAIGN, ENDED_CAMPAIGN = 1, 2, 3, 4
SENT_CATEGORIES, OTHER_CATEGORIES = LISTED[:20], LISTED[20:]
UNKNOWN_PRODUCT = 999_999  # bought, but missing from products
SENT_HOUSEHOLD, OTHER_HOUSEHOLD, EARLY_HOUSEHOLD = 11, 12, 13


def at(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def product(category, number):
    """The products of a category are consecutive: category 7 has 700 to 705."""
    return 100 * (1 + LISTED.index(category)) + number


def line(household, basket, item, seconds, quantity=1, value=9.0, store=5):
    return (household, store, basket, item, quantity, value, 0.0, 0.0, 0.0, 46, at(seconds))


def tables():
    products = [(product(category, number), 3, "GROCERY", "Private" if number == 0 else "National", category, "x", None)
                for category in LISTED for number in range(6)]
    coupons = [(1, product(category, number), SENT_CAMPAIGN) for category in SENT_CATEGORIES for number in range(5)]
    coupons += [(2, product(category, number), OTHER_CAMPAIGN) for category in OTHER_CATEGORIES for number in range(5)]
    coupons += [(22, coupons[0][1], SENT_CAMPAIGN)]  # a second coupon for a product: still one covered product
    coupons += [(3, product(LISTED[0], number), LATE_CAMPAIGN) for number in range(5)]
    coupons += [(3, product(LISTED[1], number), LATE_CAMPAIGN) for number in range(4)]  # four are too few
    coupons += [(4, product(LISTED[2], number), ENDED_CAMPAIGN) for number in range(5)]
    for first, category in ((90_000, "COUPON/MISC ITEMS"), (91_000, "MISC. DAIRY"), (92_000, None)):
        products += [(first + number, 3, "GROCERY", "National", category, "x", None) for number in range(6)]
        coupons += [(5, first + number, SENT_CAMPAIGN) for number in range(6)]
    item = product(LISTED[0], 0)
    return {
        "products": products,
        "coupons": coupons,
        "campaign_descriptions": [(SENT_CAMPAIGN, "Type A", "2017-10-30", "2017-11-20"),
                                  (OTHER_CAMPAIGN, "Type B", "2017-11-06", "2017-11-20"),
                                  (LATE_CAMPAIGN, "Type C", "2017-11-08", "2017-11-08"),
                                  (ENDED_CAMPAIGN, "Type A", "2017-10-01", "2017-11-05")],
        "campaigns": [(SENT_CAMPAIGN, SENT_HOUSEHOLD), (ENDED_CAMPAIGN, SENT_HOUSEHOLD), (ENDED_CAMPAIGN, OTHER_HOUSEHOLD)],
        "coupon_redemptions": [(SENT_HOUSEHOLD, 1, SENT_CAMPAIGN, "2017-11-07")],
        "demographics": [(SENT_HOUSEHOLD, "45-54", "Under 15K", None, None, None, None, "3+"),
                         (OTHER_HOUSEHOLD, "45-54", "250K+", None, None, None, None, "0")],
        "promotions": [(product(LISTED[0], 0), 5, "0", "A", 46), (product(LISTED[1], 4), 5, "3", "0", 46),
                       (product(LISTED[2], 5), 5, "3", "A", 46),  # not covered: the offer holds numbers 0 to 4
                       (product(LISTED[3], 0), 6, "3", "A", 46), (product(LISTED[3], 0), 5, "3", "A", 47)],
        "transactions": [
            line(EARLY_HOUSEHOLD, 100, item, SHOP_MIDNIGHT - 2 * DAY, quantity=2, value=3.0),
            line(EARLY_HOUSEHOLD, 101, item, SHOP_MIDNIGHT - DAY, quantity=1, value=2.5),
            line(EARLY_HOUSEHOLD, 101, UNKNOWN_PRODUCT, SHOP_MIDNIGHT - DAY, quantity=20_000, value=30.005),
            line(EARLY_HOUSEHOLD, 102, item, SHOP_MIDNIGHT - 1, quantity=0, value=0.0),
            line(SENT_HOUSEHOLD, 103, item, SHOP_MIDNIGHT, quantity=4, value=1.0),
            line(OTHER_HOUSEHOLD, 104, item, SHOP_MIDNIGHT + 16 * HOUR),  # Monday, 16:00
            line(OTHER_HOUSEHOLD, 105, item, SHOP_MIDNIGHT + 17 * HOUR),  # Monday, 17:00
            line(SENT_HOUSEHOLD, 106, item, SHOP_MIDNIGHT + DAY + 20 * HOUR),  # the day of the redemption
            line(SENT_HOUSEHOLD, 107, item, SHOP_MIDNIGHT + 2 * DAY, store=6),  # the day after
            line(SENT_HOUSEHOLD, 108, item, SHOP_MIDNIGHT + 3 * DAY - 1, store=7),  # last second of the 8th
            line(SENT_HOUSEHOLD, 109, item, SHOP_MIDNIGHT + 3 * DAY),
            line(SENT_HOUSEHOLD, 110, item, SHOP_MIDNIGHT + 5 * DAY),  # Saturday, 00:00
            line(SENT_HOUSEHOLD, 112, item, SHOP_MIDNIGHT + 15 * DAY),  # the 21st: every campaign is over
            line(SENT_HOUSEHOLD, 111, item, SHOP_MIDNIGHT + 15 * DAY - 1),
        ],
    }


def write_tables(folder, rows):
    db = duckdb.connect()
    for table, columns in SCHEMA.items():
        db.execute(f"CREATE TABLE {table} ({columns})")
        if rows[table]:
            db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[table][0]))})", rows[table])
        db.execute(f"COPY {table} TO '{folder}/{table}.parquet' (FORMAT parquet)")


def read_csv(path):
    with gzip.open(path, "rt", encoding="utf-8", newline="") if path.endswith(".gz") else open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


class ConvertTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.data, cls.out = (os.path.join(cls.folder.name, name) for name in ("data", "out"))
        os.mkdir(cls.data)
        write_tables(cls.data, tables())
        cls.facts = convert.convert(cls.data, cls.out, 7)
        cls.offers = {row["offer_id"]: row for row in cls.read("offers.csv.gz")}
        with gzip.open(os.path.join(cls.out, "stream.jsonl.gz"), "rt", encoding="utf-8") as file:
            cls.visits = {visit["order_id"]: visit for visit in map(json.loads, file)}

    @classmethod
    def read(cls, name):
        return read_csv(os.path.join(cls.out, name))

    def candidates(self, order):
        return [candidate["id"] for candidate in self.visits[order]["candidates"]]

    def features(self, order, offer):
        return next(c["features"] for c in self.visits[order]["candidates"] if c["id"] == offer)

    # Offers

    def test_offer_needs_five_covered_products(self):
        self.assertIn("c3-category-000", self.offers)
        self.assertNotIn("c3-category-001", self.offers)
        self.assertEqual(self.offers["c1-category-000"]["products"], "5")  # six coupon lines, one product twice

    def test_collecting_categories_and_products_without_category_make_no_offer(self):
        self.assertEqual({row["category"] for row in self.offers.values()}, set(LISTED))

    def test_campaign_that_ended_before_the_stream_makes_no_offer(self):
        self.assertNotIn("4", {row["campaign"] for row in self.offers.values()})
        self.assertEqual(len(self.offers), len(LISTED) + 1)

    def test_offer_lives_from_midnight_to_midnight_in_the_shops(self):
        offer = self.offers["c3-category-000"]  # on the 8th only
        self.assertEqual(int(offer["starts_at"]), SHOP_MIDNIGHT + 2 * DAY)
        self.assertEqual(int(offer["ends_at"]), SHOP_MIDNIGHT + 3 * DAY)

    def test_offer_row_says_what_it_covers(self):
        offer = self.offers["c1-category-000"]
        self.assertEqual(offer["item_ids"], "100|101|102|103|104")
        self.assertEqual((offer["campaign_type"], offer["department"]), ("A", "GROCERY"))
        self.assertEqual(offer["private_label_share"], "0.2000")
        self.assertEqual(offer["median_price"], "2.00")  # one of its products was ever sold: at 1.50 and at 2.50

    def test_every_offer_has_a_label(self):
        labels = {row["offer_id"]: row["label"] for row in self.read("offer_names.csv")}
        self.assertEqual(set(labels), set(self.offers))
        self.assertEqual(labels["c1-category-000"], "Category 000, campaign 1")

    def test_category_names_read_as_words(self):
        self.assertEqual(convert.category_name("FRZN MEAT/MEAT DINNERS"), "Frozen meat/meat dinners")
        self.assertEqual(convert.category_name("FROZEN - BOXED(GROCERY)"), "Frozen, boxed, grocery")
        self.assertEqual(convert.category_name("MILK BY-PRODUCTS"), "Milk by-products")
        self.assertEqual(convert.category_name("FLORAL-ACCESSORIES"), "Floral accessories")
        self.assertEqual(convert.category_name("CHRISTMAS  SEASONAL"), "Christmas seasonal")

    # Items, customers, purchases

    def test_item_that_was_bought_but_is_no_product_is_written(self):
        items = {row["item_id"]: row for row in self.read("items.csv.gz")}
        self.assertEqual(set(items[str(UNKNOWN_PRODUCT)].values()), {str(UNKNOWN_PRODUCT), ""})
        self.assertEqual(len(items), 70 * 6 + 3 * 6 + 1)

    def test_price_is_the_median_unit_price_before_the_stream(self):
        items = {row["item_id"]: row for row in self.read("items.csv.gz")}
        self.assertEqual(items["100"]["price"], "2.00")  # 3.00 / 2 and 2.50; neither the free line nor later ones at 9.00 count
        self.assertEqual(items["101"]["price"], "")

    def test_customers_have_their_classes_as_numbers(self):
        customers = {row["customer_id"]: list(row.values())[1:] for row in self.read("customers.csv.gz")}
        self.assertEqual(customers, {"11": ["1", "1", "3", "1|4"], "12": ["1", "12", "0", "4"], "13": ["0", "", "", ""]})

    def test_purchases_are_the_lines_before_the_stream_in_time_order(self):
        rows = [tuple(row.values()) for row in self.read("purchases.csv.gz")]
        start = SHOP_MIDNIGHT
        self.assertEqual(rows, [
            ("13", "100", str(start - 2 * DAY), "100", "2", "3.00"),
            ("13", "101", str(start - DAY), "100", "1", "2.50"),
            ("13", "101", str(start - DAY), str(UNKNOWN_PRODUCT), "1000", rows[2][5]),  # the quantity is capped
            ("13", "102", str(start - 1), "100", "0", "0.00")])
        self.assertAlmostEqual(float(rows[2][5]), 30.005, delta=0.0051)

    # Stream

    def test_stream_starts_at_midnight_in_the_shops_and_is_in_time_order(self):
        self.assertEqual(list(self.visits), ["103", "104", "105", "106", "107", "108", "109", "110", "111", "112"])
        times = [visit["time"] for visit in self.visits.values()]
        self.assertEqual(times, sorted(times))
        self.assertEqual(times[0], SHOP_MIDNIGHT)

    def test_candidates_are_distinct_and_live(self):
        for visit in self.visits.values():
            ids = [candidate["id"] for candidate in visit["candidates"]]
            self.assertEqual(len(set(ids)), len(ids))
            for offer in (self.offers[i] for i in ids):
                self.assertLessEqual(int(offer["starts_at"]), visit["time"])
                self.assertLess(visit["time"], int(offer["ends_at"]))

    def test_last_day_of_a_campaign_is_its_own_and_the_next_is_not(self):
        self.assertEqual(len(self.candidates("111")), 50)
        self.assertEqual(self.candidates("112"), [])

    def test_offers_sent_to_the_household_come_first(self):
        sent = {f"c1-category-{number:03d}" for number in range(20)}
        for order in ("103", "106", "110"):
            self.assertLessEqual(sent, set(self.candidates(order)))
        self.assertFalse(sent <= set(self.candidates("104")))  # by chance once in a thousand seeds; not with this one

    def test_order_of_candidates_does_not_tell_who_was_sent(self):
        ids = self.candidates("103")
        self.assertNotEqual([i.startswith("c1-") for i in ids], [True] * 20 + [False] * 30)
        self.assertNotEqual(ids, sorted(ids))

    def test_visit_with_too_few_live_offers_is_played_without_candidates(self):
        self.assertEqual(self.visits["112"]["lines"], [{"item": "100", "quantity": 1, "revenue": 9.0}])
        self.assertEqual((self.facts["ranked_visits"], self.facts["unranked_visits"]), (9, 1))

    def test_lines_keep_quantity_and_revenue(self):
        self.assertEqual(self.visits["103"]["lines"], [{"item": "100", "quantity": 4, "revenue": 1.0}])
        self.assertEqual(self.visits["103"]["customer"], "11")

    def test_redemption_counts_from_the_day_after(self):
        redeemed = {order: visit["context"]["has_redeemed"] for order, visit in self.visits.items()}
        self.assertEqual(redeemed, {"103": 0, "104": 0, "105": 0, "106": 0, "107": 1, "108": 1, "109": 1, "110": 1, "111": 1,
                                    "112": 1})

    def test_evening_and_weekend_are_in_shop_time(self):
        context = {order: (visit["context"]["evening"], visit["context"]["weekend"]) for order, visit in self.visits.items()}
        self.assertEqual([context[order] for order in ("103", "104", "105", "106", "109", "110")],
                         [(0, 0), (0, 0), (1, 0), (1, 0), (0, 0), (0, 1)])
        self.assertEqual(context["111"], (1, 0))  # Monday, 23:59:59 in the shops, Tuesday in UTC

    def test_mailer_and_display_need_a_covered_product_in_this_store_and_week(self):
        for order in ("103", "106"):
            self.assertEqual(self.features(order, "c1-category-000"), {"mailer": 1, "display": 0})
            self.assertEqual(self.features(order, "c1-category-001"), {"mailer": 0, "display": 1})
            self.assertEqual(self.features(order, "c1-category-002"), {"mailer": 0, "display": 0})
            self.assertEqual(self.features(order, "c1-category-003"), {"mailer": 0, "display": 0})
        self.assertEqual(self.features("107", "c1-category-000"), {"mailer": 0, "display": 0})  # another store
        self.assertEqual(self.features("108", "c1-category-003"), {"mailer": 0, "display": 0})  # a store it does not know

    def test_facts_count_hits_of_the_listed_offers(self):
        listed = sum(i in ("c1-category-000", "c3-category-000") for order in self.visits for i in self.candidates(order))
        self.assertAlmostEqual(self.facts["hits_per_list"], listed / 9, places=4)  # every basket holds product 100
        self.assertAlmostEqual(self.facts["base_rate"], listed / 450, places=4)

    def test_facts_count_redemptions_of_baskets_of_that_day(self):
        self.assertEqual((self.facts["redemptions"], self.facts["redemptions_in_stream"]), (1, 1))
        self.assertEqual(self.facts["redeemed_candidates"], 1)

    # Determinism

    def hashes(self, folder):
        return {name: hashlib.sha256(pathlib.Path(folder, name).read_bytes()).hexdigest() for name in os.listdir(folder)}

    def test_same_seed_gives_the_same_bytes(self):
        again = os.path.join(self.folder.name, "again")
        convert.convert(self.data, again, 7)
        self.assertEqual(self.hashes(again), self.hashes(self.out))

    def test_another_seed_changes_candidates_only(self):
        other = os.path.join(self.folder.name, "other")
        convert.convert(self.data, other, 8)
        one, two = self.hashes(other), self.hashes(self.out)
        self.assertEqual({name for name in one if one[name] != two[name]}, {"stream.jsonl.gz", "facts.json"})


if __name__ == "__main__":
    unittest.main()
