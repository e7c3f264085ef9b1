"""Writes the two tables of this folder from docs/tables.md alone, without offerd's code.

    pip install xxhash==3.5.0 && python write_table.py
"""
import json
import math
import pathlib
import struct

import xxhash

ROOT = pathlib.Path(__file__).parent
CODES = {"u8": "B", "u32": "I", "u64": "Q", "f32": "f", "f64": "d"}


def xxh3(data):
    return xxhash.xxh3_64_hexdigest(data)


def id_arrays(ids):
    encoded = [i.encode() for i in ids]
    slots = [0] * 2
    while len(slots) < 2 * len(ids):
        slots *= 2
    for number, name in enumerate(encoded):
        at = xxhash.xxh3_64_intdigest(name) % len(slots)
        while slots[at]:
            at = (at + 1) % len(slots)
        slots[at] = number + 1
    return {
        "id_bytes.u8": list(b"".join(encoded)),
        "id_offsets.u64": offsets(encoded),
        "id_slots.u32": slots,
    }


def offsets(lists):
    result = [0]
    for entries in lists:
        result.append(result[-1] + len(entries))
    return result


def flat(lists):
    return [entry for entries in lists for entry in entries]


def write(name, version, arrays, **fields):
    folder = ROOT / name / str(version)
    folder.mkdir(parents=True, exist_ok=True)
    shards = []
    for file, values in arrays.items():
        element = file.split(".")[1]
        data = struct.pack(f"<{len(values)}{CODES[element]}", *values)
        (folder / file).write_bytes(data)
        shards.append({"file": file, "element": element, "count": len(values), "bytes": len(data), "checksum": xxh3(data)})
    manifest = {"format": "offerd-table", "format_version": 1, "name": name, "version": version, **fields, "shards": shards}
    text = json.dumps(manifest, indent=1).encode()
    (folder / "manifest.json").write_bytes(text)
    (folder / "manifest.xxh3").write_text(xxh3(text) + "\n")


ids = ["9", "10", "11", "100"]
rows = [[(1, 3.0), (2, 1.0), (3, 1.0)], [(0, 3.0)], [(0, 1.0)], []]
write(
    "also-bought", 1,
    {**id_arrays(ids), "row_offsets.u64": offsets(rows), "row_neighbours.u32": [i for i, _ in flat(rows)], "row_scores.f32": [s for _, s in flat(rows)]},
    kind="count", parameters={"k": "3"}, counts={"items": 4, "baskets": 5, "entries": 5, "pairs": 3}, created="2017-07-14T02:40:00Z",
)

sessions = [[0, 1], [1, 2], [0]]  # the most recent first
labels = ["apple", "pear", "\N{LATIN SMALL LETTER U WITH DIAERESIS}zum"]
with_item = [[s for s, items in enumerate(sessions) if i in items] for i in range(3)]
write(
    "sessions", 2,
    {**id_arrays(labels), "item_offsets.u64": offsets(with_item), "item_sessions.u32": flat(with_item),
     "item_idf.f64": [math.log(5 / len(s)) for s in with_item], "session_offsets.u64": offsets(sessions), "session_items.u32": flat(sessions)},
    kind="vmis", parameters={}, counts={"items": 3, "baskets": 3, "entries": 5, "pairs": 0},
    sessions={"sessions_per_item": 500, "neighbours": 50, "last_items": 2, "idf_weight": 1, "keep_current": False, "count": 20},
    created="2017-07-14T02:40:00Z",
)
