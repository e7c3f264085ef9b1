#!/usr/bin/env python3
"""docs/evidence/policies.svg from the JSON of `offerctl policy evaluate --policy`: each policy's gain over live with its 95 % interval.

  evidence_plot.py bench/results/evidence-demo.json docs/evidence/policies.svg
"""

import json
import pathlib
import sys

WIDTH, LEFT, RIGHT, ROW, TOP = 760, 190, 30, 30, 46


def main(source, target):
    rows = [row for row in json.loads(pathlib.Path(source).read_text(encoding="utf-8"))["rows"] if "gain" in row]
    low = min(0, *(row["gain"]["lower_bound"] for row in rows))
    high = max(0, *(row["gain"]["upper_bound"] for row in rows))
    margin = (high - low) * 0.05
    low, high = low - margin, high + margin

    def x(value):
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    height = TOP + ROW * len(rows) + 44
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
           f'<text x="{LEFT}" y="22">Gain over live, reward a decision, with 95 % intervals</text>',
           f'<line x1="{x(0):.1f}" y1="{TOP - 10}" x2="{x(0):.1f}" y2="{height - 36}" stroke="#888"/>']
    for i in range(6):
        value = low + (high - low) * i / 5
        out.append(f'<text x="{x(value):.1f}" y="{height - 14}" text-anchor="middle" fill="#555">{value:.3f}</text>')
    for i, row in enumerate(rows):
        y, gain = TOP + ROW * i + 10, row["gain"]
        colour = "#1a7f37" if gain["lower_bound"] > 0 else "#b42318" if gain["upper_bound"] < 0 else "#44546a"
        out += [f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{row["policy"]}</text>',
                f'<line x1="{x(gain["lower_bound"]):.1f}" y1="{y}" x2="{x(gain["upper_bound"]):.1f}" y2="{y}" stroke="{colour}" stroke-width="3"/>',
                f'<circle cx="{x(gain["value"]):.1f}" cy="{y}" r="5" fill="{colour}"/>']
    pathlib.Path(target).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(target).write_text("\n".join(out) + "\n</svg>\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
