#!/usr/bin/env python3
"""Vowpal Wabbit's contextual bandit explorers over a stream of `offerctl learn`, with the same rules: slot 1, one pass, immediate rewards.

  vowpal_wabbit.py STREAM [--explorer "--squarecb" ...] [--seeds N] [--learning-rates 0.5,..] [--json]

Full information: the reward of the drawn action is revealed. Replay: only decisions whose draw equals the logged action count and
teach, with the probability of the draw. Context features go to namespace c, candidate features and the id to namespace a, with the
interaction c x a. VW minimises cost: cost = -reward.
"""

import argparse
import gzip
import json
import random

from vowpalwabbit import Workspace

DEFAULTS = ("--epsilon 0.05", "--epsilon 0.1", "--first 500", "--bag 5 --epsilon 0.02", "--cover 5", "--squarecb", "--squarecb --gamma_scale 1000",
            "--regcb", "--regcbopt", "--softmax --lambda 5")


def text(prefix, features):
    parts = []
    for name, value in features.items():
        name = name.replace(" ", "_").replace(":", "_").replace("|", "_")
        if isinstance(value, str):
            parts.append(f"{name}={value.replace(' ', '_').replace(':', '_').replace('|', '_')}")
        elif value:
            parts.append(f"{name}:{value:.6g}")
    return f"|{prefix} " + " ".join(parts)


def read(path):
    opener = gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")
    decisions = []
    with opener as file:
        for line in file:
            entry = json.loads(line)
            actions = [text("a", {**(c.get("features") or {}), "id": c["id"]} if not c.get("features") else c["features"]) for c in entry["candidates"]]
            shared = "shared " + text("c", entry.get("context", {}))
            ids = [c["id"] for c in entry["candidates"]]
            rewards = [c["reward"] for c in entry["candidates"]] if "reward" in entry["candidates"][0] else None
            decisions.append((shared, actions, ids, rewards, entry.get("logged"), bool(entry.get("context"))))
    return decisions


def play(decisions, options, seed):
    interactions = "-q ca" if any(d[5] for d in decisions[:100]) else ""
    workspace = Workspace(f"--cb_explore_adf {options} {interactions} --quiet --random_seed {seed + 1}")
    rng = random.Random(seed)
    rewards = []
    for shared, actions, ids, full, logged, _ in decisions:
        pmf = workspace.predict("\n".join([shared, *actions]))
        total = sum(pmf)
        draw, chosen = rng.random() * total, len(pmf) - 1
        for i, p in enumerate(pmf):
            draw -= p
            if draw < 0:
                chosen = i
                break
        if full is None and ids[chosen] != logged["id"]:
            continue
        reward = full[chosen] if full is not None else logged["reward"]
        rewards.append(reward)
        labelled = list(actions)
        labelled[chosen] = f"0:{-reward:.6g}:{pmf[chosen] / total:.6g} " + labelled[chosen]
        workspace.learn("\n".join([shared, *labelled]))
    workspace.finish()
    half = rewards[len(rewards) // 2:]
    return sum(rewards) / max(1, len(rewards)), sum(half) / max(1, len(half)), len(rewards)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stream")
    parser.add_argument("--explorer", action="append")
    parser.add_argument("--learning-rates", default="0.5")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    decisions = read(arguments.stream)
    rows = []
    for explorer in arguments.explorer or DEFAULTS:
        for rate in arguments.learning_rates.split(","):
            for seed in range(arguments.seeds):
                mean, half, counted = play(decisions, f"{explorer} -l {rate}", seed)
                rows.append({"stream": arguments.stream, "explorer": explorer, "learning_rate": float(rate), "seed": seed, "reward_mean": mean,
                             "reward_mean_last_half": half, "matched": counted})
                if not arguments.json:
                    print(f"{explorer:<32} -l {rate:<5} seed {seed}  {mean:.4f}  {half:.4f}  {counted}", flush=True)
    if arguments.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
