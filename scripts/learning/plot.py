#!/usr/bin/env python3
"""Plots for docs/learning.md from committed results: regret and cost of exploration.

  plot.py --results bench/results/learning --out docs/learning
"""

import argparse
import json
import os

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402


def regret(results, out):
    with open(os.path.join(results, "simulate.json"), encoding="utf-8") as file:
        data = json.load(file)
    curves = {}
    for run in data["runs"]:
        curves.setdefault(run["explorer"], []).append(run["regret_curve"])
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for explorer, runs in curves.items():
        mean = [sum(values) / len(values) for values in zip(*runs)]
        steps = [data["decisions"] * (i + 1) / len(mean) for i in range(len(mean))]
        axes.plot(steps, mean, label=f"{explorer} ({len(runs)} seeds)")
    axes.set_yscale("log")
    axes.set_xlabel("decisions")
    axes.set_ylabel("cumulative regret (hits)")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(os.path.join(out, "regret.svg"))


def exploration(results, out):
    with open(os.path.join(results, "journey.json"), encoding="utf-8") as file:
        rows = [row for row in json.load(file)["rows"] if row["stream"] == "journey-columns"]
    names = list(dict.fromkeys(row["explorer"] for row in rows))
    mean = lambda name, key: sum(r[key] for r in rows if r["explorer"] == name) / sum(r["explorer"] == name for r in rows)  # noqa: E731
    figure, axes = plt.subplots(figsize=(7, 3.5))
    axes.barh(names, [100 * mean(name, "exploration_cost") for name in names])
    axes.set_xlabel("cost of exploration in the last half, % of the hits of the best by score")
    figure.tight_layout()
    figure.savefig(os.path.join(out, "exploration.svg"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--results", required=True)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    for draw in (regret, exploration):
        draw(arguments.results, arguments.out)


if __name__ == "__main__":
    main()
