#!/usr/bin/env python3
"""Runs every explorer of `offerctl learn`, and those of Vowpal Wabbit, over the streams of make_streams.py; writes one JSON file a group.

  compare.py --streams FOLDER --out bench/results/learning --group journey|delay|settings|coupon|open_bandit|classification [--quick]
  compare.py --out bench/results/learning --group simulate --explorer NAME --seeds N [--delay-days D --duplicates S]

Each row: stream, learner, explorer, seed, reward_mean, reward_mean_last_half, ..., seconds. Rows of a file that are run again are replaced,
the others stay, and the file is written after every row. docs/learning.md is made from these files by plot.py. `OFFERCTL` names the
program; `--commit` says what it was built from where that is not the checkout's head.
"""

import argparse
import concurrent.futures
import glob
import gzip
import json
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
OFFERCTL = os.environ.get("OFFERCTL") or os.path.join(ROOT, "build", "release", "bin", "offerctl")
EXPLORERS = ("thompson", "ucb", "greedy", "epsilon_greedy", "softmax", "inverse_gap", "bounded_shuffle:reach=1")
VW = ("--squarecb", "--squarecb --gamma_scale 100", "--squarecb --gamma_scale 1000", "--bag 5", "--bag 10 --greedify", "--cover 3", "--regcb", "--regcbopt",
      "--epsilon 0.05", "--first 500")
RATES = "0.1,0.5,2"
DELAYS = (0, 100, 1000, 5000)  # decisions
CURVE = 100                    # points of a regret curve that are kept
SETTINGS = ("thompson:scale=0.1", "thompson:scale=1", "inverse_gap:strength=0.5", "inverse_gap:strength=8", "softmax:strength=0.02", "softmax:strength=0.2")  # beside the defaults
RIDGES = ("1", "10", "100")
PAGE = [("ucb:strength=0.1", "100")]  # settings of ../shared/data/journey-traffic.md
# The baselines of ../shared/data/journey-traffic.md that a column of the stream orders by; the first candidate of equal ones.
BASELINES = {"popularity, half-life 28 days": "population_offer", "own category frequency": "own_category", "own offer frequency": "own_offer",
             "own offer frequency, half-life 56 days": "own_offer_decayed"}
KEY = ("stream", "learner", "explorer", "seed", "slots", "reward_delay", "fixed_ridge", "delay_days", "duplicates")


def offerctl(stream, explorer, seed, *extra, **named):
    run = subprocess.run([OFFERCTL, "--json", "learn", "--stream", stream, "--explorer", explorer, "--seed", str(seed), *extra],
                         check=True, capture_output=True, text=True)
    result = json.loads(run.stdout)
    keep = ("decisions", "matched", "reward_mean", "reward_mean_last_half", "interval", "exploration_cost", "columns", "ridge", "residual_deviation", "seconds")
    return {"stream": os.path.basename(stream).split(".")[0], "learner": "offerd", "explorer": explorer, "seed": seed, **named,
            **{key: result[key] for key in keep}}


def prefix(stream, count, extra, explorer):
    """The first `count` decisions of a stream."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"{os.path.basename(stream).split('.')[0]}-first-{count}.jsonl")
        with gzip.open(stream, "rt", encoding="utf-8") as source, open(path, "w", encoding="utf-8") as file:
            for _ in range(count):
                file.write(source.readline())
        return offerctl(path, explorer, 1, *extra)


def baselines(stream):
    """What orders by one column earn in slot 1 and in the first five, and what a random order earns."""
    name = os.path.basename(stream).split(".")[0]
    one = {baseline: [] for baseline in ("random", *BASELINES)}
    five = {baseline: [] for baseline in ("random", *BASELINES)}
    with gzip.open(stream, "rt", encoding="utf-8") as file:
        for line in file:
            candidates = json.loads(line)["candidates"]
            rewards = [candidate["reward"] for candidate in candidates]
            one["random"].append(sum(rewards) / len(rewards))
            five["random"].append(5 * sum(rewards) / len(rewards))
            for baseline, column in BASELINES.items():
                order = sorted(range(len(candidates)), key=lambda i: -candidates[i]["features"].get(column, 0))  # noqa: B023
                one[baseline].append(rewards[order[0]])
                five[baseline].append(sum(rewards[i] for i in order[:5]))
    rows = []
    for slots, table in ((1, one), (5, five)):
        for baseline, values in table.items():
            half = values[len(values) // 2:]
            mean = sum(values) / len(values)
            rows.append({"stream": name, "learner": "baseline", "explorer": baseline, "seed": 0, "slots": slots, "decisions": len(values),
                         "reward_mean": mean, "reward_mean_last_half": sum(half) / len(half),
                         "first_1000": sum(values[:1000]) / 1000, "first_5000": sum(values[:5000]) / 5000})
    return rows


def vowpal(stream, explorer, rates, seeds=1):
    run = subprocess.run([sys.executable, os.path.join(HERE, "vowpal_wabbit.py"), stream, f"--explorer={explorer}", "--learning-rates", rates, "--seeds",
                          str(seeds), "--json"], check=True, capture_output=True, text=True)
    name = os.path.basename(stream).split(".")[0]
    return [{**row, "stream": name, "learner": "vowpal_wabbit", "explorer": f"{row['explorer']} -l {row['learning_rate']:g}"} for row in json.loads(run.stdout)]


def simulate(explorer, seed, decisions, delay_days, duplicates):
    run = subprocess.run([OFFERCTL, "--json", "simulate", "--decisions", str(decisions), "--seeds", "1", "--seed", str(seed), "--explorer", explorer,
                          "--delay-days", str(delay_days), "--duplicates", str(duplicates)], check=True, capture_output=True, text=True)
    result = json.loads(run.stdout)
    row = result["runs"][0]
    curve = row.pop("regret_curve")
    every = -(-len(curve) // CURVE)
    return {"stream": "shop", "learner": "offerd", "explorer": explorer, "seed": seed, "delay_days": delay_days, "duplicates": duplicates,
            "decisions": decisions, "reward_mean": row["reward"], "reward_mean_last_half": float("nan"), "oracle": row["oracle"],
            "cumulative_regret": row["cumulative_regret"], "regret_share_last_tenth": row["regret_share_last_tenth"],
            "regret_curve": [round(value, 1) for value in curve[every - 1::every]]}


def tasks_of(arguments):
    folder = arguments.streams
    explorers = arguments.explorer or (EXPLORERS[:1] if arguments.quick else EXPLORERS)
    rates = "0.5" if arguments.quick else arguments.rates
    if arguments.group == "simulate":
        for seed in range(arguments.first_seed, arguments.seeds + 1):
            for explorer in explorers:
                yield simulate, (explorer, seed, arguments.decisions, arguments.delay_days, arguments.duplicates)
        return
    features = ("--features", os.path.join(folder, "journey-columns.textproto"))
    if arguments.group == "delay":
        for seed in range(1, arguments.seeds + 1):
            for delay in DELAYS:
                yield (lambda *call, delay=delay: offerctl(*call, reward_delay=delay)), (
                    os.path.join(folder, "journey-columns.jsonl.gz"), "thompson", seed, *features, "--reward-delay", str(delay))
        return
    if arguments.group == "settings":
        for pattern in ("journey-columns.jsonl.gz", "coupon-*.jsonl", "satellite-*.jsonl.gz"):
            for path in sorted(glob.glob(os.path.join(folder, pattern)))[:arguments.orders] if pattern.startswith(arguments.only) else ():
                extra = features if pattern.startswith("journey") else ()
                for explorer in SETTINGS if pattern.startswith("journey") else SETTINGS[:2]:
                    yield offerctl, (path, explorer, 1, *extra)
                pairs = [("thompson", ridge) for ridge in RIDGES] + (PAGE if pattern.startswith("journey") else [])
                for explorer, ridge in pairs:
                    yield (lambda *call, ridge=ridge: offerctl(*call, fixed_ridge=float(ridge))), (path, explorer, 1, *extra, "--ridge", ridge)
        return
    if arguments.group == "journey":
        for stream in ("journey-columns", "journey-value", "journey-facts"):
            if not stream.startswith(arguments.only):
                continue
            path = os.path.join(folder, f"{stream}.jsonl.gz")
            extra = () if stream == "journey-facts" else features
            if stream != "journey-facts":
                yield baselines, (path,)
            if stream == "journey-columns":
                for explorer in explorers:
                    for count in (1000, 5000):
                        yield prefix, (path, count, extra, explorer)
                for explorer in ("thompson", "greedy"):
                    yield (lambda *call: offerctl(*call, slots=5)), (path, explorer, 1, *extra, "--slots", "5")
            for explorer in explorers if stream != "journey-facts" else explorers[:1]:
                for seed in (1, 2) if explorer == "thompson" else (1,):
                    yield offerctl, (path, explorer, seed, *extra)
        return
    names = {"coupon": ("coupon-*.jsonl",), "open_bandit": ("obd-*.jsonl.gz",), "classification": ("satellite-*.jsonl.gz", "letter-*.jsonl.gz")}[arguments.group]
    for pattern in names:
        if not pattern.startswith(arguments.only):
            continue
        for path in sorted(glob.glob(os.path.join(folder, pattern)))[:arguments.orders]:
            seeds = arguments.seeds if arguments.group == "open_bandit" else 1
            for explorer in explorers if not arguments.no_offerd else ():
                for seed in range(1, seeds + 1):
                    yield offerctl, (path, explorer, seed)
            if not arguments.no_vw:
                for explorer in arguments.vw or VW:
                    yield vowpal, (path, explorer, rates, seeds)


def save(path, rows, about):
    with open(path + ".part", "w", encoding="utf-8") as file:
        file.write("{" + ", ".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in about.items()) + ', "rows": [\n')
        file.write(",\n".join(json.dumps({k: v for k, v in row.items() if v == v}) for row in rows.values()) + "\n]}\n")
    os.replace(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--streams", default=os.path.join(ROOT, "build", "learning"))
    parser.add_argument("--out", required=True)
    parser.add_argument("--group", required=True, choices=("journey", "delay", "settings", "coupon", "open_bandit", "classification", "simulate"))
    parser.add_argument("--quick", action="store_true", help="the default explorer, and Vowpal Wabbit at its default learning rate")
    parser.add_argument("--explorer", action="append", help="of offerd; may be repeated")
    parser.add_argument("--vw", action="append", help="options of a Vowpal Wabbit explorer; may be repeated")
    parser.add_argument("--rates", default=RATES, help="learning rates of Vowpal Wabbit")
    parser.add_argument("--no-vw", action="store_true")
    parser.add_argument("--no-offerd", action="store_true")
    parser.add_argument("--only", default="", help="streams whose pattern starts so")
    parser.add_argument("--orders", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=5, help="of open_bandit, delay and simulate")
    parser.add_argument("--first-seed", type=int, default=1, help="of simulate: --seeds is the last one")
    parser.add_argument("--decisions", type=int, default=200_000, help="of simulate")
    parser.add_argument("--delay-days", type=float, default=0)
    parser.add_argument("--duplicates", type=float, default=0)
    parser.add_argument("--commit", help="what the program was built from")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    path = os.path.join(arguments.out, f"{arguments.group}.json")
    rows = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            rows = {tuple(row.get(name) for name in KEY): row for row in json.load(file)["rows"]}
    commit = arguments.commit or subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    about = {"commit": commit, "machine": os.uname().machine, "cpus": os.cpu_count()}
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        for future in [pool.submit(function, *call) for function, call in tasks_of(arguments)]:
            result = future.result()
            for row in result if isinstance(result, list) else [result]:
                rows[tuple(row.get(name) for name in KEY)] = row
                print(f"{row['stream']:<18} {row['learner']:<14} {row['explorer']:<36} {row['seed']}  {row['reward_mean']:.4f}  {row['reward_mean_last_half']:.4f}",
                      flush=True)
            save(path, rows, about)


if __name__ == "__main__":
    main()
