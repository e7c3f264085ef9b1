#include "cli/evaluate/search_space.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/check.h"

namespace offerd::evaluate {
namespace {

Axis Real(const char* parameter, std::vector<double> values) { return {parameter, {values.begin(), values.end()}}; }
Axis Choice(const char* parameter, const std::vector<std::string>& values) { return {parameter, {values.begin(), values.end()}}; }

// Whole numbers from least to most, each about a tenth larger than the one before.
Axis Grown(const char* parameter, double least, double most) {
  Axis axis = {parameter, {}};
  for (double value = least; value < most; value = std::max(value + 1, value * 1.1)) axis.values.emplace_back(std::llround(value));
  axis.values.emplace_back(std::llround(most));
  return axis;
}

Axis HalfLife(const char* parameter = "half_life") { return Real(parameter, {0, 730, 365, 180, 120, 90, 60, 45, 30, 21, 14, 7, 3, 1}); }

std::vector<Axis> PairSpace(const std::string& method, Protocol protocol) {
  std::vector<Axis> axes = {Grown("k", 20, 1000), Real("min_support", {1, 2, 3, 5, 10, 20, 50})};
  if (protocol != Protocol::kUsers) axes.push_back(HalfLife());
  if (method == "cosine") axes.push_back(Real("shrink", {0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000}));
  if (method == "confidence") axes.push_back(Real("damping", {0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1}));
  return axes;
}

std::vector<Axis> BlendSpace(Protocol protocol) {
  const std::vector<double> weights = {0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.4, 2, 3};
  if (protocol == Protocol::kSessions) {
    return {Grown("m", 100, 5000), Grown("k", 20, 1500),      Grown("last", 1, 20),
            Real("rules", weights), Grown("steps", 1, 20), Real("popular", {0, 0.001, 0.01, 0.05})};
  }
  if (protocol == Protocol::kUsers) return {Real("lambda", {1, 2, 5, 10, 20, 50, 100, 200, 350, 500, 700, 1000, 2000, 5000})};
  return {Choice("table", {"count", "llr", "confidence", "cosine", "jaccard", "lift"}),
          Grown("k", 50, 1000),
          Real("min_support", {1, 2, 3, 5, 10}),
          HalfLife("table_half_life"),
          Real("own", weights),
          HalfLife(),
          Real("popular", {0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4})};
}

ParameterValue* Find(MethodSpec* spec, const std::string& parameter) {
  for (auto& [name, value] : spec->parameters) {
    if (name == parameter) return &value;
  }
  return nullptr;
}

size_t Below(size_t count, Rng* rng) { return std::min(count - 1, static_cast<size_t>(rng->NextUniform() * static_cast<double>(count))); }

double AsNumber(const ParameterValue& value) {
  if (const auto* whole = std::get_if<int64_t>(&value)) return static_cast<double>(*whole);
  if (const auto* real = std::get_if<double>(&value)) return *real;
  return 0;
}

// Where a value stands on its axis, or the nearest one to it.
size_t PlaceOf(const ParameterValue& value, const Axis& axis) {
  const auto found = std::find(axis.values.begin(), axis.values.end(), value);
  if (found != axis.values.end()) return static_cast<size_t>(found - axis.values.begin());
  size_t nearest = 0;
  for (size_t i = 1; i < axis.values.size(); ++i) {
    if (std::abs(AsNumber(axis.values[i]) - AsNumber(value)) < std::abs(AsNumber(axis.values[nearest]) - AsNumber(value))) nearest = i;
  }
  return nearest;
}

void Step(const Axis& axis, MethodSpec* spec, Rng* rng) {
  ParameterValue* const value = Find(spec, axis.parameter);
  CHECK(value != nullptr);
  const auto most = static_cast<int64_t>(std::max<size_t>(1, axis.values.size() / 6));
  const int64_t distance = 1 + static_cast<int64_t>(Below(static_cast<size_t>(most), rng));
  const int64_t place = static_cast<int64_t>(PlaceOf(*value, axis)) + (rng->NextUniform() < 0.5 ? -distance : distance);
  *value = axis.values[static_cast<size_t>(std::clamp<int64_t>(place, 0, static_cast<int64_t>(axis.values.size()) - 1))];
}

std::vector<Axis> WholeSpace(const std::string& method, Protocol protocol) {
  if (method == "ar") return {Grown("keep", 5, 500)};
  if (method == "sr") return {Grown("steps", 1, 30), Choice("weight", {"quadratic", "inverse", "log", "linear"}), Grown("keep", 5, 500)};
  if (method == "vmis") {
    return {Grown("m", 100, 5000), Grown("k", 20, 1500), Grown("last", 1, 20), Real("idf", {0, 0.5, 1, 2, 3, 5}), Real("quantile", {0.98, 0.99, 0.995, 1})};
  }
  if (method == "ease") return {Real("lambda", {1, 2, 5, 10, 20, 50, 100, 150, 200, 300, 400, 500, 700, 1000, 1500, 2000, 3000, 5000, 10000})};
  if (method == "blend") return BlendSpace(protocol);
  if (method == "popular") return {HalfLife()};
  if (method == "repeat" || method == "repeat_popular") return {Choice("ties", {"first", "recent", "popular"}), HalfLife()};
  return PairSpace(method, protocol);
}

}  // namespace

std::vector<Axis> SearchSpace(const std::string& method, Protocol protocol, bool has_times) {
  std::vector<Axis> axes = WholeSpace(method, protocol);
  const auto needs_times = [](const Axis& axis) { return IsAgeParameter(axis.parameter); };
  if (!has_times) axes.erase(std::remove_if(axes.begin(), axes.end(), needs_times), axes.end());
  return axes;
}

std::vector<std::string> TunedMethods(Protocol protocol) {
  if (protocol == Protocol::kSessions) return {"vmis", "sr", "ar", "cosine"};
  return {"count", "confidence", "cosine", "jaccard", "lift", "llr"};
}

MethodSpec RandomSpec(const MethodSpec& spec, const std::vector<Axis>& axes, Rng* rng) {
  MethodSpec changed = spec;
  for (const Axis& axis : axes) *Find(&changed, axis.parameter) = axis.values[Below(axis.values.size(), rng)];
  changed.given = SpecText(changed);
  return changed;
}

MethodSpec NearbySpec(const MethodSpec& spec, const std::vector<Axis>& axes, Rng* rng) {
  MethodSpec changed = spec;
  const size_t steps = rng->NextUniform() < 0.5 ? 1 : 2;
  for (size_t i = 0; i < steps; ++i) Step(axes[Below(axes.size(), rng)], &changed, rng);
  changed.given = SpecText(changed);
  return changed;
}

}  // namespace offerd::evaluate
