#!/usr/bin/env python3
"""Plots for docs/learning.md from committed results: regret, cost of exploration, late rewards, calibration, beside Vowpal Wabbit.

  plot.py --results bench/results/learning --out docs/learning
"""

import argparse
import json
import os
import sys

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tables  # noqa: E402

NAMES = {"thompson": "Thompson (default)", "ucb": "UCB", "greedy": "greedy", "epsilon_greedy": "epsilon-greedy .05", "softmax": "softmax",
         "inverse_gap": "inverse gap", "bounded_shuffle:reach=1": "bounded shuffle, reach 1", "random": "random"}


def finish(figure, out, name):
    figure.tight_layout()
    figure.savefig(os.path.join(out, f"{name}.svg"), metadata={"Date": None})
    plt.close(figure)


def mean_curve(rows):
    curves = [row["regret_curve"] for row in rows]
    mean = [sum(values) / len(values) for values in zip(*curves)]
    return [rows[0]["decisions"] * (i + 1) / len(mean) / 1000 for i in range(len(mean))], mean


def regret(results, out):
    rows = [row for row in tables.load(results, "simulate") if not row["delay_days"]]
    figure, axes = plt.subplots(figsize=(7.5, 4.5))
    for explorer, label in NAMES.items():
        runs = [row for row in rows if row["explorer"] == explorer]
        if runs:
            style = {"random": ":", "greedy": "--"}.get(explorer, "-")
            axes.plot(*mean_curve(runs), style, label=f"{label}, {len(runs)} seeds", linewidth=2.2 if explorer == "thompson" else 1.3)
    axes.set_yscale("log")
    axes.set_ylim(20, 500_000)
    axes.set_xlabel("decisions (thousands)")
    axes.set_ylabel("cumulative regret (expected hits)")
    axes.set_title("Made-up shop: what the best candidate would have earned more", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, ncols=2, loc="upper left")
    finish(figure, out, "regret")


def exploration(results, out):
    rows = [row for row in tables.load(results, "journey")
            if row["stream"] == "journey-columns" and row["learner"] == "offerd" and not row.get("slots")]
    names = [name for name in NAMES if any(row["explorer"] == name for row in rows)]
    cost = [tables.mean([100 * row["exploration_cost"] for row in rows if row["explorer"] == name]) for name in names]
    figure, axes = plt.subplots(figsize=(7.5, 3.2))
    bars = axes.barh([NAMES[name] for name in names][::-1], cost[::-1])
    axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8)
    axes.set_xlim(min(0, *cost) * 1.3, max(cost) * 1.12)
    axes.set_xlabel("cost of exploration in the last half (% of the hits of the best by score)")
    axes.set_title("Complete Journey, 45 columns, slot 1", fontsize=10)
    finish(figure, out, "exploration")


def delay(results, out):
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.8))
    rows = tables.load(results, "simulate")
    for late, label in ((0, "rewards at once"), (1, "mean delay 1 day (2,000 decisions), 10 % sent twice")):
        runs = [row for row in rows if row["explorer"] == "thompson" and row["delay_days"] == late]
        left.plot(*mean_curve(runs), label=f"{label}, {len(runs)} seeds")
    left.set_xlabel("decisions (thousands)")
    left.set_ylabel("cumulative regret (expected hits)")
    left.set_title("Made-up shop, default explorer", fontsize=10)
    left.set_ylim(0)
    left.grid(alpha=0.3)
    left.legend(fontsize=7.5)
    rows = tables.load(results, "delay")
    delays = sorted({row["reward_delay"] for row in rows})
    places = range(len(delays))
    for key, label in (("reward_mean", "all 22,809 decisions"), ("reward_mean_last_half", "last half")):
        right.plot(places, [tables.mean([row[key] for row in rows if row["reward_delay"] == late]) for late in delays], "o-", label=label)
    right.set_xticks(places, [f"{late:,}" for late in delays])
    right.set_xlabel("delay of every reward (decisions)")
    right.set_ylabel("hits a decision")
    right.set_title("Complete Journey, default explorer", fontsize=10)
    right.set_ylim(0.12, 0.18)
    right.grid(alpha=0.3)
    right.legend(fontsize=7.5)
    finish(figure, out, "delay")


def calibration(results, out):
    rows = [row for row in tables.load(results, "twin") if row["part"] == "calibration"]
    figure, axes = plt.subplots(figsize=(4.8, 4.2))
    for key, label in (("candidates", "all candidates"), ("shown", "the one shown")):
        points = [tuple(tables.mean([row[key][i][name] for row in rows]) for name in ("estimate", "reward")) for i in range(10)]
        axes.plot(*zip(*points), "o-", label=label)
    axes.plot([0, 0.4], [0, 0.4], "k:", linewidth=1)
    axes.set_xlabel("estimate, mean of a tenth (hits a decision)")
    axes.set_ylabel("reward of that tenth (hits a decision)")
    axes.set_title("Complete Journey, last half", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    finish(figure, out, "calibration")


def vowpal(results, out):
    sets = [(group, prefix) for group, prefix in (("coupon", "coupon"), ("classification", "satellite"), ("classification", "letter"))
            if tables.four(tables.load(results, group), prefix)]
    labels = ("offerd, default", "offerd, best explorer", "Vowpal Wabbit, default", "Vowpal Wabbit, best of its settings")
    figure, axes = plt.subplots(figsize=(7.5, 3.8))
    for i in range(4):
        places, values, errors = [], [], []
        for at, (group, prefix) in enumerate(sets):
            entry = tables.four(tables.load(results, group), prefix)[i]
            places.append(at + 0.2 * i - 0.3)
            values.append(entry[1])
            errors.append(entry[2])
        bars = axes.bar(places, values, 0.18, yerr=errors, label=labels[i], error_kw={"linewidth": 1})
        axes.bar_label(bars, fmt="%.3f", fontsize=6.5, padding=2)
    axes.set_xticks(range(len(sets)), [prefix for _, prefix in sets])
    axes.set_ylabel("reward a counted decision")
    axes.set_title("One pass; means over orders of the stream, with standard errors", fontsize=10)
    axes.set_ylim(0, 1.05)
    axes.legend(fontsize=7.5, loc="upper left", ncols=2)
    finish(figure, out, "vowpal_wabbit")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "offerd"})
    for draw in (regret, exploration, delay, calibration, vowpal):
        draw(arguments.results, arguments.out)


if __name__ == "__main__":
    main()
