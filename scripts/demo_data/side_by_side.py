#!/usr/bin/env python3
"""Results of scripts/demo for several explorers as one table: side_by_side.py build/demo/summary_NAME.json ..."""

import json
import pathlib
import sys

print(f"{'explorer':<16} {'learned':>8}  {'95 % interval':<18} {'fixed':>7} {'random':>7}  {'p50 us':>7} {'p99 us':>7}")
for path in map(pathlib.Path, sys.argv[1:]):
    summary = json.loads(path.read_text(encoding="utf-8"))
    reward = summary["reward"]
    low, high = reward["learned"]["lo"], reward["learned"]["hi"]
    times = summary["rank_offers"]
    print(f"{path.stem.removeprefix('summary_'):<16} {reward['learned']['mean']:8.4f}  [{low:.4f}, {high:.4f}]   {reward['fixed']['mean']:7.4f} "
          f"{reward['random']['mean']:7.4f}  {times['p50_us']:7.0f} {times['p99_us']:7.0f}")
