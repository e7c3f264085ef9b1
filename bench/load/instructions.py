"""Instructions of a request, by stage: offerd and offerd_echo under callgrind, which a busy machine does not disturb.

    scripts/bench instructions [rank_offers|cross_sell|feedback] [--shop FOLDER] [--seconds S] [--json]

User space only, all threads. A stage is everything that is done inside of the function it is named after. Needs valgrind.
"""

import argparse
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import measure
import support

FUNCTIONS = [
    # (stage, function as callgrind names it, in which stage it is contained)
    ("request thread", r"RpcQueue::Run\(\)$", 0),
    ("parse request", r"offerd::ParseRequest\(", 1),
    ("Engine::RankOffers", r"Engine::RankOffers\(", 1),
    ("validate", r"offerd::Validate\(offerd::v1::RankOffersRequest", 2),
    ("fingerprint", r"offerd::RequestFingerprint\(", 2),
    ("reply cache, begin", r"ReplyCache::Begin\(", 2),
    ("fill rank request", r"offerd::FillRankRequest\(", 2),
    ("Decide", r"offerd::Decide\(", 2),
    ("gather candidates", r"Decider::GatherCandidates\(", 3),
    ("order by id", r"Decider::RankByIds\(", 3),
    ("fixed order", r"Decider::RankByFixedOrder\(", 3),
    ("facts", r"FactPlan::Fill\(", 3),
    ("population rates", r"Population::RatesOf\(", 4),
    ("columns, rows", r"Encoder::Encode\(", 3),
    ("scores", r"LinearPolicy::Score\(", 3),
    ("draw", r"offerd::DrawSlate\(", 3),
    ("fill response", r"offerd::FillResponse\(offerd::Decision", 2),
    ("fill decision record", r"offerd::FillDecisionRecord\(", 2),
    ("hand to writer", r"Writer::SubmitDecision\(", 2),
    ("reply cache, finish", r"ReplyCache::Finish\(", 2),
    ("Engine::CrossSell", r"Engine::CrossSell\(", 1),
    ("list answer", r"offerd::AnswerList\(", 2),
    ("history", r"offerd::CollectHistory\(", 3),
    ("strategies", r"offerd::RunStrategy\(", 3),
    ("add up rows", r"CartScorer::Accumulate\(", 4),
    ("top of the sums", r"CartScorer::Top\(", 4),
    ("Engine::SendFeedback", r"Engine::SendFeedback\(", 1),
    ("answer: serialise and send", r"UnaryCall::Answer\(", 1),
    ("writer thread", r"Writer::Run\(\)$", 0),
    ("look up event ids", r"Store::HasEvents\(", 1),
    ("log and fold", r"Writer::Plan::Log\(", 1),
    ("record to entry", r"offerd::FromProto\(offerd::v1::stored::LogRecord", 2),
    ("fold", r"Fold::Apply\(", 2),
    ("statistics of shown slots", r"LinearStatistics::AddShown\(", 3),
    ("profiles", r"Profile::Add|Fold::FoldIn\(offerd::Event", 3),
    ("publish models", r"Writer::PublishNews\(", 1),
    ("append to store", r"Store::Append\(", 1),
    ("RocksDB", r"RocksKv::Write\(", 2),
    ("free records", r"stored::LogRecord::~LogRecord\(", 1),
    ("publish state", r"Writer::PublishState\(", 1),
]

MIXES = {
    "rank_offers": ["--mix", "rank_offers", "--in_flight", 4],
    "cross_sell": ["--mix", "cross_sell", "--in_flight", 4],
    "feedback": ["--mode", "stream", "--in_flight", 4],
}


def inclusive(path):
    """{function: instructions} of one thread, and their sum."""
    text = subprocess.run(["callgrind_annotate", "--inclusive=yes", "--auto=no", "--threshold=99.99", path], capture_output=True, text=True).stdout
    total, functions = 0, {}
    for line in text.splitlines():
        found = re.match(r"\s*([\d,]+) \(\s*[\d.]+%\)\s+(.*)", line)
        if not found:
            continue
        count = int(found[1].replace(",", ""))
        if found[2] == "PROGRAM TOTALS":
            total = count
            continue
        name = re.sub(r" \[[^\]]*\]$", "", found[2]).replace("(anonymous namespace)::", "")
        name = name.split(":", 1)[1] if ":" in name else name
        functions[name] = max(count, functions.get(name, 0))
    return total, functions


def run(name, shop, folder, arguments, seconds):
    path = folder / name
    path.mkdir()
    command = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes", f"--callgrind-out-file={path}/out"]
    if name == "offerd":
        shutil.copytree(shop.folder / "store", path / "store")
        command += [measure.BIN / "offerd", "--config", support.Server(path, **shop.settings()).config]
    else:
        command += [measure.BIN / "offerd_echo"]
    log = path / "log"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stderr=out)
    while b'"event":"ready"' not in log.read_bytes():
        if process.poll() is not None:
            raise RuntimeError(log.read_text())
        time.sleep(0.1)
    port = [json.loads(line)["port"] for line in log.read_text().splitlines() if '"event":"ready"' in line][0]

    def load(for_seconds):
        command = [measure.BIN / "bench_load", "--target", f"127.0.0.1:{port}", "--seconds", str(for_seconds), "--warmup", "0", *map(str, arguments)]
        return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)["result"]["all_answered"]

    load(seconds / 3)
    subprocess.run(["callgrind_control", "-i", "on", str(process.pid)], check=True, stdout=subprocess.DEVNULL)
    answers = load(seconds)
    time.sleep(2)  # the writer's rest
    subprocess.run(["callgrind_control", "-i", "off", str(process.pid)], check=True, stdout=subprocess.DEVNULL)
    process.send_signal(signal.SIGTERM)
    process.wait(300)
    total, functions = 0, {}
    for part in path.glob("out-*"):
        sum_of_part, found = inclusive(part)
        total += sum_of_part
        for function, count in found.items():
            functions[function] = functions.get(function, 0) + count
    stages = []
    for stage, rule, depth in FUNCTIONS:
        counts = [count for function, count in functions.items() if re.search(rule, function) and not function.startswith("std::")]
        if counts:
            stages.append((depth, stage, round(max(counts) / answers)))
    return {"requests": answers, "instructions": round(total / answers), "stages": stages}


def main():
    arguments = argparse.ArgumentParser(prog="scripts/bench instructions", description=__doc__.split("\n")[0])
    arguments.add_argument("case", nargs="?", default="rank_offers", choices=MIXES)
    arguments.add_argument("--seconds", type=float, default=20, help="counted; a request takes some milliseconds")
    arguments.add_argument("--shop", help="folder of a seeded shop, made when it is not there; default: a temporary one")
    arguments.add_argument("--json", action="store_true")
    options = arguments.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="offerd-bench-"))
    try:
        shop = measure.Shop(options.shop or folder / "shop")
        shop.seed()
        result = {name: run(name, shop, folder, MIXES[options.case], options.seconds) for name in ("echo", "offerd")}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    result["ratio"] = round(result["offerd"]["instructions"] / result["echo"]["instructions"], 2)
    measure.keep(f"instructions_{options.case}", result)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    for name in ("echo", "offerd"):
        print(f"{name}: {result[name]['instructions']:,} instructions a request, over {result[name]['requests']:,} of them")
        for depth, stage, count in result[name]["stages"]:
            print(f"  {100 * count / result[name]['instructions']:5.1f} % {count:10,}  {'  ' * depth}{stage}")
    print(f"ratio {result['ratio']}")


if __name__ == "__main__":
    sys.exit(main())
