// bench_load: loads a running offerd or offerd_echo and prints one JSON object. docs/performance.md says how it is used.
#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <grpc/support/log.h>
#include <nlohmann/json.hpp>

#include "bench/load/generator.h"

namespace offerd {
namespace {

using Json = nlohmann::ordered_json;

double Micros(int64_t nanos) { return static_cast<double>(nanos / 10) / 100; }

Json Latency(const Histogram& h) {
  return {{"p50", Micros(h.Percentile(0.5))}, {"p90", Micros(h.Percentile(0.9))}, {"p99", Micros(h.Percentile(0.99))},
          {"p99.9", Micros(h.Percentile(0.999))}, {"max", Micros(h.max())}, {"mean", h.mean() / 1000}};
}

Json Describe(const LoadResult& result, const LoadOptions& options, bool with_histogram) {
  Json out;
  if (options.is_open) {
    out["rate"] = options.rate;
    out["offered"] = result.offered;
    out["unsent"] = result.unsent;
  } else {
    out["in_flight"] = options.in_flight;
  }
  out["seconds"] = result.seconds;
  out["ok"] = result.ok;
  out["all_answered"] = result.all_answered;
  out["in_time"] = result.in_time;
  out["throughput"] = result.throughput();
  out["errors"] = Json::object();
  for (const auto& [code, count] : result.errors) out["errors"][std::to_string(code)] = count;
  out["checked"] = result.checked;
  out["poor"] = result.poor;
  const Histogram all = result.AllLatency();
  out["latency_us"] = Latency(all);
  for (int i = 0; i < kNumCallKinds; ++i) {
    const Histogram& one = result.latency[static_cast<size_t>(i)];
    if (one.count() > 0 && one.count() < all.count()) out["by_call"][std::string(CallKindText(static_cast<CallKind>(i)))] = Latency(one);
  }
  out["client_cpu_us"] = result.answered() == 0 ? 0 : 1e6 * result.client_cpu_seconds / static_cast<double>(result.answered());
  if (options.server_pid != 0) {
    out["server_cpu_us"] = result.server_cpu_micros();
    out["server_resident_bytes"] = result.server_resident_bytes;
  }
  if (with_histogram) {
    for (const auto& [bound, count] : all.Buckets()) out["histogram_ns"].push_back({bound, count});
  }
  return out;
}

// The most a closed loop gets: more and more in flight until twice in a row nothing is gained.
absl::StatusOr<Json> FindPeak(LoadOptions options, bool with_histogram) {
  Json out;
  double best = 0;
  int without_gain = 0;
  for (options.in_flight = 1; options.in_flight <= 1024 && without_gain < 2; options.in_flight *= 2) {
    const auto result = RunLoad(options);
    if (!result.ok()) return result.status();
    Json step = Describe(*result, options, with_histogram);
    without_gain = result->throughput() > 1.03 * best ? 0 : without_gain + 1;
    if (result->throughput() > best) {
      best = result->throughput();
      out["peak"] = step;
    }
    out["steps"].push_back(step);
  }
  return out;
}

// The highest rate of an open loop that is still served: 99 % answered OK and p99 below the limit.
absl::StatusOr<Json> FindRate(LoadOptions options, double p99_limit_ms, bool with_histogram) {
  Json out;
  double good = 0, bad = 0;
  options.is_open = true;
  for (int step = 0; step < 16 && (bad == 0 || bad > 1.05 * std::max(good, 1.0)); ++step) {
    const auto result = RunLoad(options);
    if (!result.ok()) return result.status();
    const double p99_ms = static_cast<double>(result->AllLatency().Percentile(0.99)) / 1e6;
    const bool is_served = result->offered > 0 && static_cast<double>(result->ok) >= 0.99 * static_cast<double>(result->offered) && p99_ms <= p99_limit_ms;
    Json described = Describe(*result, options, with_histogram);
    described["is_served"] = is_served;
    if (is_served && options.rate > good) out["highest"] = described;
    out["steps"].push_back(std::move(described));
    (is_served ? good : bad) = options.rate;
    options.rate = bad == 0 ? 2 * options.rate : good == 0 ? options.rate / 2 : (good + bad) / 2;
  }
  return out;
}

int Main(int argc, char** argv) {
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  LoadOptions options;
  std::string mode = "closed", arrivals = "poisson", mix = "rank_offers";
  double p99_limit_ms = 10, deadline_ms = 0;
  bool with_histogram = false, no_request_ids = false;
  CLI::App app("Loads a running server. Closed loop, open loop with latencies since each call was due, or a search for the most it can do.");
  app.add_option("--target", options.target, "host:port")->required();
  app.add_option("--mode", mode, "closed: --in_flight; open: --rate; peak: the most a closed loop gets; search: the highest rate served; stream: one feedback stream")
      ->check(CLI::IsMember({"closed", "open", "peak", "search", "stream"}));
  app.add_option("--mix", mix, "CALL=WEIGHT,...: rank_offers, cross_sell, similar_items, recommend_items, recommend_next, send_feedback");
  app.add_option("--in_flight", options.in_flight, "calls or batches under way in a closed loop")->check(CLI::Range(1, 100'000));
  app.add_option("--rate", options.rate, "calls a second; where a search begins")->check(CLI::Range(0.1, 1e7));
  app.add_option("--arrivals", arrivals, "of an open loop")->check(CLI::IsMember({"poisson", "fixed"}));
  app.add_option("--p99_limit_ms", p99_limit_ms, "of a search");
  app.add_option("--deadline_ms", deadline_ms, "of each call; 0 = none");
  app.add_option("--max_outstanding", options.max_outstanding, "of an open loop")->check(CLI::Range(1, 1'000'000));
  app.add_option("--channels", options.channels, "connections")->check(CLI::Range(1, 1000));
  app.add_option("--seconds", options.seconds, "counted");
  app.add_option("--warmup", options.warmup_seconds, "seconds before that");
  app.add_option("--server_pid", options.server_pid, "whose CPU time and memory to read");
  app.add_option("--seed", options.traffic.seed);
  app.add_option("--offers", options.traffic.offers, "of the catalogue");
  app.add_option("--customers", options.traffic.customers);
  app.add_option("--items", options.traffic.items, "of the table");
  app.add_option("--candidates", options.traffic.candidates, "of a RankOffers request");
  app.add_flag("--compact", options.traffic.compact, "RankOffers in the compact form, by offer keys");
  app.add_option("--cart", options.traffic.cart_lines, "lines of a cart");
  app.add_option("--events", options.traffic.events, "of a feedback batch");
  app.add_option("--event_bytes", options.traffic.event_bytes, "of each");
  app.add_flag("--no_request_ids", no_request_ids, "RankOffers without an id of the caller");
  app.add_flag("--histogram", with_histogram, "write out all buckets");
  CLI11_PARSE(app, argc, argv);
  options.arrivals = arrivals == "fixed" ? Arrivals::Kind::kFixed : Arrivals::Kind::kPoisson;
  options.deadline_seconds = deadline_ms / 1000;
  options.traffic.request_ids = !no_request_ids;
  options.is_open = mode == "open";
  const auto weights = ParseMix(mix);
  if (!weights.ok() || ((options.is_open || mode == "search") && options.rate == 0)) {
    std::cerr << (weights.ok() ? "--rate: needed with this mode" : weights.status().ToString()) << "\n";
    return 2;
  }
  options.traffic.weights = *weights;

  absl::StatusOr<Json> out;
  if (mode == "peak") {
    out = FindPeak(options, with_histogram);
  } else if (mode == "search") {
    out = FindRate(options, p99_limit_ms, with_histogram);
  } else {
    const auto result = mode == "stream" ? RunStream(options) : RunLoad(options);
    if (result.ok()) {
      out = Describe(*result, options, with_histogram);
    } else {
      out = result.status();
    }
  }
  if (!out.ok()) {
    std::cerr << out.status().ToString() << "\n";
    return 1;
  }
  std::cout << Json{{"mode", mode}, {"mix", mix}, {"result", *out}}.dump(1) << "\n";
  return 0;
}

}  // namespace
}  // namespace offerd

int main(int argc, char** argv) { return offerd::Main(argc, argv); }
