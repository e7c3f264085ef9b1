#include "core/features/seasonality.h"

#include <algorithm>
#include <cmath>

#include "absl/time/civil_time.h"
#include "absl/types/span.h"
#include "core/features/population.h"

namespace offerd {
namespace {

// A share p of C orders has a relative variance of about 1 / (p C); true shares of weekdays differ by some .2 between items, those of
// months by .5. The orders at which a share is half believed are 1 / (p variance): docs/quality.md has what other values do.
constexpr double kWeekdayPrior = 175;
constexpr double kMonthPrior = 50;
constexpr double kMostFactor = 4;

absl::CivilDay CivilDayOf(int64_t day) { return absl::CivilDay(1970, 1, 1) + day; }

double Sum(absl::Span<const float> counts) {
  double sum = 0;
  for (const float count : counts) sum += static_cast<double>(count);
  return sum;
}

// A share count / orders, shrunk towards the usual one by `prior` orders, over the usual one.
double Lift(double count, double orders, double usual, double prior) { return (count + prior * usual) / (orders + prior) / usual; }

}  // namespace

void SeasonCounts::Add(int64_t day) {
  const absl::CivilDay date = CivilDayOf(day);
  const auto on_year = static_cast<int32_t>(date.year());
  const bool is_empty = Sum(weekdays) == 0;
  if (is_empty || on_year > year) {
    const float fade = is_empty ? 0 : std::ldexp(1.0f, std::max(-1000, year - on_year));
    for (float& count : weekdays) count *= fade;
    for (float& count : months) count *= fade;
    year = on_year;
  }
  const float counts = std::ldexp(1.0f, std::max(-1000, on_year - year));
  weekdays[static_cast<size_t>(WeekdayOf(day))] += counts;
  months[date.month() - 1] += counts;
}

Season::Moment Season::MomentOf(int64_t day) {
  const absl::CivilDay date = CivilDayOf(day);
  const absl::CivilMonth month(date);
  const double length = static_cast<double>(absl::CivilDay(month + 1) - absl::CivilDay(month));
  const double from_middle = (static_cast<double>(date.day()) - 0.5) / length - 0.5;  // [-.5, .5)
  const auto here = static_cast<size_t>(date.month() - 1);
  const double part = std::abs(from_middle);
  return {{here, from_middle < 0 ? (here + 11) % 12 : (here + 1) % 12}, {1 - part, part}};
}

Season::Season(const SeasonCounts& all, int64_t day, double mean_age_days)
    : all_(all), weekday_(static_cast<size_t>(WeekdayOf(day))), now_(MomentOf(day)), before_(MomentOf(day - std::llround(mean_age_days))) {
  const double orders = Sum(all.weekdays);
  if (orders <= 0) return;
  weekday_share_ = static_cast<double>(all.weekdays[weekday_]) / orders;
  for (size_t i = 0; i < 12; ++i) month_shares_[i] = static_cast<double>(all.months[i]) / orders;
  knows_a_year_ = std::all_of(std::begin(all.months), std::end(all.months), [](float count) { return count > 0; });
}

double Season::LiftAt(const Moment& moment, const SeasonCounts& item, double fade, double orders) const {
  double lift = 0;
  for (int i = 0; i < 2; ++i) {
    const size_t month = moment.months[i];
    lift += moment.parts[i] * Lift(fade * static_cast<double>(item.months[month]), orders, month_shares_[month], kMonthPrior);
  }
  return lift;
}

double Season::Factor(const SeasonCounts& item) const {
  // What the item's counts are worth in the year of `all`.
  const double fade = std::ldexp(1.0, std::clamp(item.year - all_.year, -1000, 0));
  const double orders = fade * Sum(item.weekdays);
  double factor = 1;
  if (weekday_share_ > 0) factor = Lift(fade * static_cast<double>(item.weekdays[weekday_]), orders, weekday_share_, kWeekdayPrior);
  if (knows_a_year_) factor *= LiftAt(now_, item, fade, orders) / LiftAt(before_, item, fade, orders);
  return std::clamp(factor, 1 / kMostFactor, kMostFactor);
}

}  // namespace offerd
