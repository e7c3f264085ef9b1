#!/usr/bin/env python3
"""The figures of docs/learning.md as Markdown tables, from committed results.

  tables.py --results bench/results/learning
"""

import argparse
import collections
import json
import math
import os

VW_DEFAULT = "--epsilon 0.05 -l 0.5"  # what --cb_explore_adf does without an explorer and a rate


def load(results, group):
    with open(os.path.join(results, f"{group}.json"), encoding="utf-8") as file:
        return json.load(file)["rows"]


def mean(values):
    values = list(values)
    return sum(values) / len(values)


def error(values):
    """Standard error of the mean."""
    if len(values) < 2:
        return 0.0
    middle = mean(values)
    return math.sqrt(sum((v - middle) ** 2 for v in values) / (len(values) - 1) / len(values))


def by_explorer(rows, learner, prefix, key="reward_mean"):
    """(explorer, mean, standard error, count, mean of the last half), the best first. One value an order: the mean over its seeds."""
    orders = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in rows:
        if row["learner"] == learner and row["stream"].startswith(prefix):
            orders[row["explorer"]][row["stream"]].append((row[key], row["reward_mean_last_half"]))
    table = []
    for explorer, streams in orders.items():
        if len(streams) == 1:  # one order: the spread is that over seeds
            values = [v for v, _ in next(iter(streams.values()))]
        else:
            values = [mean(v for v, _ in pairs) for pairs in streams.values()]
        half = mean(mean(h for _, h in pairs) for pairs in streams.values())
        table.append((explorer, mean(values), error(values), len(values), half))
    return sorted(table, key=lambda entry: -entry[1])


def four(rows, prefix):
    """offerd's default, its best explorer, Vowpal Wabbit's default, the best of its settings."""
    ours, theirs = by_explorer(rows, "offerd", prefix), by_explorer(rows, "vowpal_wabbit", prefix)
    if not ours or not theirs:
        return None
    default = [entry for entry in theirs if entry[0] == VW_DEFAULT]
    return [next(e for e in ours if e[0] == "thompson"), ours[0], default[0], theirs[0]] if default else None


def short(value):
    return f"{value:.4f}".lstrip("0") if value < 1 else f"{value:.4f}"


def print_simulate(results):
    print("| explorer | seeds | hits a decision | regret, hits | regret in the last tenth, % |\n| --- | --- | --- | --- | --- |")
    groups = collections.defaultdict(list)
    for row in load(results, "simulate"):
        groups[row["explorer"], row["delay_days"], row["duplicates"]].append(row)
    for (explorer, late, _), rows in sorted(groups.items(), key=lambda item: mean(r["cumulative_regret"] for r in item[1])):
        tenth = [100 * row["regret_share_last_tenth"] for row in rows]
        regret = [row["cumulative_regret"] for row in rows]
        print(f"| {explorer}{' (late)' if late else ''} | {len(rows)} | {short(mean(r['reward_mean'] for r in rows))} | {mean(regret):,.0f} ± {error(regret):.0f} |"
              f" {mean(tenth):.2f} ± {error(tenth):.2f} (worst {max(tenth):.2f}) |")
    print("oracle", mean(row["oracle"] for row in load(results, "simulate")))


def print_journey(results):
    rows = load(results, "journey")
    for row in rows:
        if row["learner"] == "baseline":
            print(f"| {row['stream']} {row['explorer']} slots {row['slots']} | {short(row['first_1000'])} | {short(row['first_5000'])} | {short(row['reward_mean'])}"
                  f" | {short(row['reward_mean_last_half'])} |")
    for explorer in dict.fromkeys(row["explorer"] for row in rows if row["learner"] == "offerd"):
        def value(stream, key="reward_mean"):
            found = [row[key] for row in rows if row["stream"] == stream and row["explorer"] == explorer and not row.get("slots")]  # noqa: B023
            return f"{short(mean(found))}" + (f" ± {error(found):.4f} ({len(found)})" if len(found) > 1 else "") if found else ""
        print(f"| {explorer} | {value('journey-columns-first-1000')} | {value('journey-columns-first-5000')} | {value('journey-columns')} |"
              f" {value('journey-columns', 'reward_mean_last_half')} | {value('journey-columns', 'exploration_cost')} | {value('journey-value')} |"
              f" facts {value('journey-facts')} |")
    for row in rows:
        if row.get("slots") == 5 and row["learner"] == "offerd":
            print("top 5", row["explorer"], short(row["reward_mean"]), short(row["reward_mean_last_half"]))


def print_rows(results, group, prefix):
    rows = load(results, group)
    for learner in ("offerd", "vowpal_wabbit"):
        for explorer, value, spread, count, half in by_explorer(rows, learner, prefix):
            print(f"| {prefix} | {learner} | {explorer} | {short(value)} ± {spread:.4f} ({count}) | {short(half)} |")


def print_settings(results):
    for name in ("settings", "delay"):
        for key, rows in sorted(_grouped(load(results, name)).items(), key=str):
            print(name, *key, short(mean(r["reward_mean"] for r in rows)), short(mean(r["reward_mean_last_half"] for r in rows)), len(rows))


def _grouped(rows):
    groups = collections.defaultdict(list)
    for row in rows:
        groups[row["stream"].split("-")[0], row["explorer"], row.get("fixed_ridge"), row.get("reward_delay")].append(row)
    return groups


def print_twin(results):
    groups = collections.defaultdict(list)
    for row in load(results, "twin"):
        if row["part"] == "paired":
            print(row)
            continue
        groups[tuple((k, row[k]) for k in ("part", "delay", "settle", "widen", "scale", "ridge") if k in row and (k != "ridge" or row["part"] in ("ridge", "page")))].append(row)
    for key, rows in groups.items():
        print(dict(key), len(rows), *(f"{k} {short(mean(r[k] for r in rows))} ± {error([r[k] for r in rows]):.4f}" for k in (
            "first_500", "first_1000", "first_5000", "reward_mean", "reward_mean_last_half", "estimate_mean", "estimate_1001_5000", "reward_1001_5000",
            "estimate_mean_last_half")))
        if "candidates" in rows[0]:
            for part in ("candidates", "shown"):
                print(part, *(f"{mean(r[part][i]['estimate'] for r in rows):.4f}/{mean(r[part][i]['reward'] for r in rows):.4f}" for i in range(10)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", required=True)
    results = parser.parse_args().results
    steps = [lambda: print_simulate(results), lambda: print_journey(results), lambda: print_settings(results), lambda: print_twin(results)]
    for group, prefix in (("coupon", "coupon"), ("classification", "satellite"), ("classification", "letter"), ("open_bandit", "obd-random"),
                          ("open_bandit", "obd-bts")):
        steps.append(lambda group=group, prefix=prefix: print_rows(results, group, prefix))
    for step in steps:
        try:
            step()
        except FileNotFoundError as missing:
            print(f"not run yet: {missing.filename}")
        print()


if __name__ == "__main__":
    main()
