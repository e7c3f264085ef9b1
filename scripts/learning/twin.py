#!/usr/bin/env python3
"""A NumPy twin of the default learner, on the journey-columns stream unless a part says otherwise, for what `offerctl learn --json` does not print: calibration of the
estimates, the effect of settle_after, of the width of the bag while little was seen, and of the ridge. Slot 1, full information.

  twin.py --streams build/learning --out bench/results/learning [--part NAME ...] [--seeds 5]

The rules are offerd's (core/learn, core/policy, core/learn/fold_settings.cc): ridge regression over the shown slots, a bag of 32 draws of
scale .3, widened to at most 1 by sqrt(1 + 3 columns / (slots + 1)); a publication after every decision up to 1,000, then every 50; the ridge
by marginal likelihood after every tenth more slots. Only the random numbers differ. twin.json has one row a run.
"""

import argparse
import gzip
import json
import os
import re
import time

import numpy as np

BAG, PRIOR, DOUBT = 32, 0.5, 3.0
PARTS = ("calibration", "paired", "settle", "widening", "widening_satellite", "ridge", "scale", "page")


def load(folder):
    cache = os.path.join(folder, "journey-columns.npz")
    if not os.path.exists(cache):
        with open(os.path.join(folder, "journey-columns.textproto"), encoding="utf-8") as file:
            names = re.findall(r'name: "([^"]+)"', file.read())
        number = {name: i for i, name in enumerate(names)}
        x, r = [], []
        with gzip.open(os.path.join(folder, "journey-columns.jsonl.gz"), "rt", encoding="utf-8") as file:
            for line in file:
                rows = np.zeros((50, len(names)), dtype=np.float32)
                rows[:, number["constant"]] = 1
                candidates = json.loads(line)["candidates"]
                for i, candidate in enumerate(candidates):
                    for name, value in candidate["features"].items():
                        rows[i, number[name]] = value
                x.append(rows)
                r.append([candidate["reward"] for candidate in candidates])
        np.savez(cache, x=np.array(x), r=np.array(r, dtype=np.float32))
    data = np.load(cache)
    return data["x"], data["r"]


def load_classification(folder, name, order, limit):
    """satellite or letter: the columns that offerctl learn makes itself (constant, class, every product of a number and the class)."""
    context, labels, ids = [], [], []
    with gzip.open(os.path.join(folder, f"{name}-{order}.jsonl.gz"), "rt", encoding="utf-8") as file:
        for line in file:
            decision = json.loads(line)
            context.append(list(decision["context"].values()))
            labels.append([candidate["reward"] for candidate in decision["candidates"]])
            ids = [candidate["id"] for candidate in decision["candidates"]]
    values = np.array(context) / np.sqrt(np.mean(np.square(context), axis=0))
    n = len(ids)
    block = np.concatenate([np.ones((len(values), 1)), values], axis=1)[:limit]
    x = np.zeros((limit, n, 1 + n * block.shape[1]), dtype=np.float32)
    x[:, :, 0] = 1
    for i in range(n):
        x[:, i, 1 + i * block.shape[1]:1 + (i + 1) * block.shape[1]] = block
    return x, np.array(labels[:limit], dtype=np.float32)


class Learner:
    def __init__(self, dim):
        self.gram, self.b, self.yy, self.n = np.zeros((dim, dim)), np.zeros(dim), 0.0, 0.0

    def shown(self, x):
        self.gram += np.outer(x, x)
        self.n += 1

    def paid(self, x, reward):
        self.b += reward * x
        self.yy += reward * reward

    def solve(self, ridge):
        lower = np.linalg.cholesky(self.gram + ridge * np.eye(len(self.b)))
        return lower, np.linalg.solve(lower.T, np.linalg.solve(lower, self.b))

    def likelihood(self, ridge):
        lower, theta = self.solve(ridge)
        return (-(self.n + 1) / 2 * np.log(max(1e-12, self.yy - self.b @ theta + PRIOR**2)) + len(self.b) / 2 * np.log(ridge)
                - np.log(np.diag(lower)).sum())

    def best_ridge(self, start):
        best, value = start, self.likelihood(start)
        for step in (np.sqrt(10), 1 / np.sqrt(10)):
            while 0.01 <= best * step * 1.0001 and best * step <= 10_001:
                other = self.likelihood(best * step)
                if other <= value:
                    break
                best, value = best * step, other
        return best


def play(x, r, seed, scale=0.3, widen=True, ridge=None, delay=0, settle=0, keep=False):
    """One run. delay: decisions until a reward is known. settle: decisions that a slot is held back from learning."""
    rng = np.random.default_rng(seed)
    count, _, dim = x.shape
    learner, held, unpaid = Learner(dim), [], []
    in_force, chosen_at = ridge or 10.0, 0.0
    rewards, best, estimates = np.zeros(count), np.zeros(count), np.zeros(count)
    everything = [] if keep else None
    since, theta, bag = 10**9, None, None
    held_from = unpaid_from = 0
    for i in range(count):
        while unpaid_from < len(unpaid) and unpaid[unpaid_from][0] <= i:
            _, row, reward = unpaid[unpaid_from]
            learner.paid(row, reward)
            unpaid_from += 1
        while held_from < len(held) and held[held_from][0] <= i:
            _, row = held[held_from]
            learner.shown(row)
            held_from += 1
        if since >= (1 if i <= 1000 else 50):
            since = 0
            if ridge is None and learner.n >= 1.1 * chosen_at and learner.n > 0:
                in_force, chosen_at = learner.best_ridge(in_force), learner.n
            lower, theta = learner.solve(in_force)
            sigma = np.sqrt(max(0.0, learner.yy - 2 * theta @ learner.b + theta @ learner.gram @ theta + PRIOR**2) / (learner.n + 1))
            width = min(1.0, scale * np.sqrt(1 + DOUBT * dim / (learner.n + 1))) if widen and scale < 1 else scale
            bag = theta[:, None] + width * sigma * np.linalg.solve(lower.T, rng.standard_normal((dim, BAG)))
        rows = x[i].astype(float)
        mean = rows @ theta
        shown = int(np.argmax(rows @ bag[:, rng.integers(BAG)]))
        rewards[i], best[i], estimates[i] = r[i, shown], r[i, int(np.argmax(mean))], mean[shown]
        if keep and i >= count // 2:
            everything.append(mean)
        # The sums need x and the reward at different times; a slot that is held back is added when it has settled, with what it has earned by then.
        row = rows[shown]
        if settle > 0:
            held.append((i + 1 + settle, row))
            if rewards[i]:
                unpaid.append((i + 1 + max(settle, delay), row, rewards[i]))
        else:
            learner.shown(row)
            if rewards[i]:
                unpaid.append((i + 1 + delay, row, rewards[i]))
        since += 1
    half = count // 2
    result = {"seed": seed, "decisions": count, "reward_mean": rewards.mean(), "first_500": rewards[:500].mean(), "first_1000": rewards[:1000].mean(),
              "first_5000": rewards[:5000].mean(), "reward_mean_last_half": rewards[half:].mean(), "estimate_mean": estimates.mean(),
              "estimate_mean_last_half": estimates[half:].mean(), "estimate_1001_5000": estimates[1000:5000].mean(),
              "reward_1001_5000": rewards[1000:5000].mean(), "ridge": in_force}
    return result, rewards, estimates, everything


def deciles(estimate, reward):
    order = np.argsort(estimate, kind="stable")
    return [{"estimate": float(estimate[part].mean()), "reward": float(reward[part].mean()), "count": len(part)} for part in np.array_split(order, 10)]


def paired(x, r, folder, seeds):
    """The mean over seeds minus each baseline, visit by visit: 95 % intervals from 2,000 bootstrap samples of households."""
    with open(os.path.join(folder, "journey-columns.textproto"), encoding="utf-8") as file:
        names = re.findall(r'name: "([^"]+)"', file.read())
    with gzip.open(os.path.join(folder, "journey-columns.jsonl.gz"), "rt", encoding="utf-8") as file:
        customers = [json.loads(line[:line.index(',"candidates"')] + "}")["customer"] for line in file]
    _, household = np.unique(customers, return_inverse=True)
    ours = np.mean([play(x, r, seed)[1] for seed in range(1, seeds + 1)], axis=0)
    rng = np.random.default_rng(0)
    samples = rng.integers(household.max() + 1, size=(2000, household.max() + 1))
    visits = np.bincount(household)
    rows = []
    for column in ("population_offer", "own_offer", "own_offer_decayed"):
        difference = ours - r[np.arange(len(r)), np.argmax(x[:, :, names.index(column)], axis=1)]
        sums = np.bincount(household, difference)
        means = sums[samples].sum(axis=1) / visits[samples].sum(axis=1)
        rows.append({"part": "paired", "baseline": column, "seeds": seeds, "difference": float(difference.mean()),
                     "interval": [float(q) for q in np.quantile(means, (0.025, 0.975))]})
        print(rows[-1], flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--streams", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--part", action="append", choices=PARTS)
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    path = os.path.join(arguments.out, "twin.json")
    data = {"numpy": np.__version__, "cpus": os.cpu_count(), "rows": []}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            data = json.load(file)
    x, r = load(arguments.streams)

    def save():
        with open(path, "w", encoding="utf-8") as file:
            about = {k: v for k, v in data.items() if k != "rows"}
            file.write(json.dumps(about)[:-1] + ', "rows": [\n' + ",\n".join(json.dumps(row) for row in data["rows"]) + "\n]}\n")

    def run(part, x, r, seed, **settings):
        begin = time.time()
        result, rewards, estimates, everything = play(x, r, seed, **settings)
        settings.pop("keep", None)
        row = {"part": part, **settings, **{k: round(float(v), 6) for k, v in result.items()}}
        if everything is not None:
            half = len(r) // 2
            row["shown"] = deciles(estimates[half:], rewards[half:])
            row["candidates"] = deciles(np.concatenate(everything), r[half:].reshape(-1))
        print(part, settings, seed, f"{row['first_1000']:.4f} {row['first_5000']:.4f} {row['reward_mean']:.4f} {row['reward_mean_last_half']:.4f}",
              f"estimate {row['estimate_mean']:.4f} {time.time() - begin:.1f} s", flush=True)
        data["rows"].append(row)
        save()

    for part in arguments.part or PARTS:
        data["rows"] = [row for row in data["rows"] if row["part"] != part]
        if part == "paired":
            data["rows"] += paired(x, r, arguments.streams, arguments.seeds)
            save()
        for seed in range(1, arguments.seeds + 1):
            if part == "calibration":
                run(part, x, r, seed, keep=True)
            for delay in (100, 1000, 5000) if part == "settle" else ():
                for settle in (0, delay):
                    run(part, x, r, seed, delay=delay, settle=settle)
            for widen in (True, False) if part == "widening" else ():
                run(part, x[:2000], r[:2000], seed, widen=widen)
            if part == "widening_satellite":  # one order a seed
                rows, rewards = load_classification(arguments.streams, "satellite", (seed - 1) % 5, 2000)
                for widen in (True, False):
                    run(part, rows, rewards, seed, widen=widen)
            for ridge in (1, 10, 100) if part == "ridge" else ():
                run(part, x, r, seed, ridge=float(ridge))
            for scale in (0.0, 0.1, 0.5, 1.0) if part == "scale" else ():  # 0: greedy
                run(part, x, r, seed, scale=scale)
            if part == "page":  # of ../shared/data/journey-traffic.md
                run(part, x, r, seed, scale=0.1, widen=False, ridge=100.0)


if __name__ == "__main__":
    main()
