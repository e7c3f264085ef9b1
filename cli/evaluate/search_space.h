#pragma once
#include <string>
#include <vector>

#include "cli/evaluate/method_spec.h"
#include "core/rng.h"

namespace offerd::evaluate {

// Values that `offerctl tune` tries for one parameter, in an order in which neighbours are alike.
struct Axis {
  std::string parameter;
  std::vector<ParameterValue> values;
};

// What is worth trying of a method; empty where it has nothing to choose. Without times nothing that fades what is old.
std::vector<Axis> SearchSpace(const std::string& method, Protocol protocol, bool has_times);

// Methods that are tried where none are named: those that `offerctl build` makes a table of.
std::vector<std::string> TunedMethods(Protocol protocol);

// A method with a random value on every axis; and one that differs from `spec` by some steps on one or two axes.
MethodSpec RandomSpec(const MethodSpec& spec, const std::vector<Axis>& axes, Rng* rng);
MethodSpec NearbySpec(const MethodSpec& spec, const std::vector<Axis>& axes, Rng* rng);

}  // namespace offerd::evaluate
