"""Where a request's time goes, by stage: `perf record --call-graph dwarf` of a server, sorted by what each sample was inside of.

    perf record -F 499 --call-graph dwarf,12000 -o P -p PID -- sleep 10  # the software clock where there are no counters
    perf script -i P --inline -F comm,tid,ip,sym | python3 bench/load/stages.py [REQUESTS CPU_MICROS]

The first rule that names a frame of the stack, from the innermost outwards in the order of the rules, takes the sample.
"""

import collections
import re
import sys

RULES = [
    # Decide, innermost first
    ("decide: order by id", r"^RankByIds"),
    ("decide: find offers and gate", r"^GatherCandidates|^AddCandidate|Catalogue::FindOffer|CheckGate"),
    ("decide: facts", r"FactPlan::Fill|ComputedColumn"),
    ("decide: population rates (fixed order)", r"^RankByFixedOrder|Population::OfferRates"),
    ("decide: encode facts into columns", r"Encoder::Encode|Encoder::Columns"),
    ("decide: scores", r"LinearPolicy::Score|^Score "),
    ("decide: slate draw", r"SlateDraw|^Draw |StartRules|DrawSlate|SlateRulesState"),
    ("decide: rest", r"offerd::Decide"),
    # RankOffers around it
    ("validate request", r"offerd::Validate"),
    ("request fingerprint", r"RequestFingerprint"),
    ("reply cache", r"ReplyCache::"),
    ("fill rank request", r"FillRankRequest"),
    ("fill decision record", r"FillDecisionRecord"),
    ("fill response", r"offerd::FillResponse"),
    ("hand record to writer", r"Writer::SubmitDecision"),
    ("decision metrics", r"RecordDecisionMetrics"),
    ("RankOffers: rest", r"Engine::RankOffers"),
    # CrossSell and its like
    ("lists: find items of the table in the catalogue", r"Catalogue::FindItem"),
    ("lists: keep what may be shown", r"^Keep|MayShow|IsOnSale"),
    ("lists: add up rows, take the top", r"CartScorer::"),
    ("lists: ids to numbers", r"ItemIdsView::Find"),
    ("lists: rest", r"offerd::AnswerList"),
    ("lists: around", r"Engine::(CrossSell|SimilarItems|RecommendItems|RecommendNext)"),
    # writer
    ("writer: look up event ids", r"Store::HasEvents|Writer::ReadSeen"),
    ("writer: serialise and frame", r"Store::Append.*|SerializeToString"),
    ("writer: RocksDB", r"rocksdb::|RocksKv"),
    ("writer: record to entry (FromProto)", r"offerd::FromProto"),
    ("writer: publish models", r"PublishNews|Fold::Prepare"),
    ("writer: fold", r"Fold::Apply|Fold::FoldIn|LinearStatistics"),
    ("writer: publish state, sweep", r"PublishState|Snapshot<.*>::Sweep|Snapshot<.*>::Publish"),
    ("writer: free records", r"LogRecord::~LogRecord|~LogRecord"),
    # feedback, what of it is no writer's stage
    ("events: plan, or check and copy", r"Engine::SendFeedback|Engine::PlanEvent"),
    ("stream of feedback", r"FeedbackStream::"),
    ("writer: rest", r"Writer::"),
    # gRPC
    ("parse request", r"ParseRequest"),
    ("serialise response", r"SerializationTraits<.*>::Serialize|GenericSerialize"),
    ("gRPC: server", r"RpcQueue::Run|UnaryCall|UnaryPool"),
    ("RocksDB: background", r"rocksdb"),
]
COMPILED = [(name, re.compile(rule)) for name, rule in RULES]


def stage_of(frames):
    text = "\n".join(frames)
    for name, rule in COMPILED:
        if any(rule.search(frame) for frame in frames):
            if name.startswith("writer: serialise") and "rocksdb::" in text:
                return "writer: RocksDB"
            return name
    return "kernel and unknown"


def main():
    threads = collections.defaultdict(collections.Counter)
    leaves = collections.defaultdict(collections.Counter)
    who, frames = None, []

    def take():
        if who is not None and frames:
            stage = stage_of(frames)
            threads[who][stage] += 1
            leaves[stage][re.sub(r"\(inlined\)|offerd::|\(anonymous namespace\)::", "", frames[0]).strip()[:60]] += 1

    for line in sys.stdin:
        if line.strip() == "":
            take()
            who, frames = None, []
        elif line[0] not in " \t":
            who = tuple(line.split()[:2])
            frames = []
        else:
            frames.append(line.split(None, 1)[1].strip() if len(line.split(None, 1)) > 1 else "?")
    take()
    total = sum(sum(stages.values()) for stages in threads.values())
    scale = float(sys.argv[2]) / total if len(sys.argv) > 2 else None
    for who, stages in sorted(threads.items(), key=lambda item: -sum(item[1].values())):
        share = sum(stages.values()) / total
        if share < 0.01:
            continue
        print(f"{who[0]} {who[1]}: {100 * share:.1f} %" + (f", {share * scale * total:.1f} us a request" if scale else ""))
        for stage, count in stages.most_common():
            if count / total < 0.003:
                continue
            top = ", ".join(f"{leaf} {100 * n / leaves[stage].total():.0f}" for leaf, n in leaves[stage].most_common(4))
            print(f"  {100 * count / total:5.1f} %" + (f" {count * scale:6.1f} us" if scale else "") + f"  {stage:42} [{top}]")


if __name__ == "__main__":
    main()
