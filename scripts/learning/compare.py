#!/usr/bin/env python3
"""Runs every explorer of `offerctl learn`, and those of Vowpal Wabbit, over the streams of make_streams.py; writes one JSON file a group.

  compare.py --streams FOLDER --out bench/results/learning --group journey|coupon|open_bandit|classification|simulator [--quick]

Each row: stream, learner, explorer, seed, reward_mean, reward_mean_last_half, exploration_cost, seconds. docs/learning.md is made from these
files by plot.py.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OFFERCTL = os.environ.get("OFFERCTL") or os.path.join(ROOT, "build", "release", "bin", "offerctl")
EXPLORERS = ("thompson", "ucb", "greedy", "epsilon_greedy", "softmax", "inverse_gap", "bounded_shuffle:reach=1")
VW = ("--squarecb", "--squarecb --gamma_scale 100", "--squarecb --gamma_scale 1000", "--bag 5", "--bag 10 --greedify", "--cover 3", "--regcb", "--regcbopt",
      "--epsilon 0.05", "--first 500")
RATES = "0.1,0.5,2"


def offerctl(stream, explorer, seed, *extra):
    run = subprocess.run([OFFERCTL, "--json", "learn", "--stream", stream, "--explorer", explorer, "--seed", str(seed), *extra],
                         check=True, capture_output=True, text=True)
    result = json.loads(run.stdout)
    keep = ("decisions", "matched", "reward_mean", "reward_mean_last_half", "interval", "exploration_cost", "columns", "ridge", "residual_deviation", "seconds")
    return {"stream": os.path.basename(stream).split(".")[0], "learner": "offerd", "explorer": explorer, "seed": seed, **{key: result[key] for key in keep}}


def vowpal(stream, explorer, rates):
    run = subprocess.run([sys.executable, os.path.join(HERE, "vowpal_wabbit.py"), stream, f"--explorer={explorer}", "--learning-rates", rates, "--json"],
                         check=True, capture_output=True, text=True)
    name = os.path.basename(stream).split(".")[0]
    return [{**row, "stream": name, "learner": "vowpal_wabbit", "explorer": f"{row['explorer']} -l {row['learning_rate']:g}"} for row in json.loads(run.stdout)]


def tasks_of(arguments):
    folder = arguments.streams
    explorers = EXPLORERS[:1] if arguments.quick else EXPLORERS
    rates = "0.5" if arguments.quick else RATES
    if arguments.group == "journey":
        for stream in ("journey-columns", "journey-value", "journey-facts"):
            path = os.path.join(folder, f"{stream}.jsonl.gz")
            extra = () if stream == "journey-facts" else ("--features", os.path.join(folder, "journey-columns.textproto"))
            for explorer in explorers if stream != "journey-facts" else explorers[:1]:
                for seed in (1, 2) if explorer == "thompson" else (1,):
                    yield offerctl, (path, explorer, seed, *extra)
        return
    names = {"coupon": ("coupon-*.jsonl",), "open_bandit": ("obd-*.jsonl.gz",), "classification": ("satellite-*.jsonl.gz", "letter-*.jsonl.gz")}[arguments.group]
    for pattern in names:
        for path in sorted(glob.glob(os.path.join(folder, pattern)))[:arguments.orders]:
            seeds = range(1, 6) if arguments.group == "open_bandit" else (1,)
            for explorer in explorers:
                for seed in seeds:
                    yield offerctl, (path, explorer, seed)
            if not arguments.no_vw:
                for explorer in VW:
                    yield vowpal, (path, explorer, rates)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--streams", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--group", required=True, choices=("journey", "coupon", "open_bandit", "classification"))
    parser.add_argument("--quick", action="store_true", help="the default explorer, and Vowpal Wabbit at its default learning rate")
    parser.add_argument("--no-vw", action="store_true")
    parser.add_argument("--orders", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    rows = []
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for future in [pool.submit(function, *call) for function, call in tasks_of(arguments)]:
            result = future.result()
            for row in result if isinstance(result, list) else [result]:
                rows.append(row)
                print(f"{row['stream']:<18} {row['learner']:<14} {row['explorer']:<36} {row['seed']}  {row['reward_mean']:.4f}  {row['reward_mean_last_half']:.4f}",
                      flush=True)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    with open(os.path.join(arguments.out, f"{arguments.group}.json"), "w", encoding="utf-8") as file:
        json.dump({"commit": commit, "machine": os.uname().machine, "cpus": os.cpu_count(), "rows": rows}, file, indent=1)


if __name__ == "__main__":
    main()
