#pragma once
#include <Eigen/Core>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/records.h"
#include "google/protobuf/timestamp.pb.h"
#include "offerd/v1/stored.pb.h"

// Between protobuf (the wire and the log) and what core computes with. Documented defaults are filled in on the way in,
// so core never asks what an absent field means.
//
// Errors   InvalidArgument names field and value: a number that is not finite, an enum value or an array size that
// cannot be,
//          a oneof that is not set. Ranges, sizes and text are the edge's business and not checked again.
namespace offerd {

absl::StatusOr<Item> FromProto(const v1::Item& proto);
absl::StatusOr<Offer> FromProto(const v1::Offer& proto);
absl::StatusOr<Customer> FromProto(const v1::Customer& proto);
absl::StatusOr<FeatureList> FromProto(const v1::FeatureList& proto);
absl::StatusOr<Policy> FromProto(const v1::Policy& proto);  // what it says of its present version is not part of it
absl::StatusOr<Placement> FromProto(const v1::Placement& proto);
absl::StatusOr<Event> FromProto(const v1::stored::StoredEvent& proto);
absl::StatusOr<DecisionChange> FromProto(const v1::stored::Decision& proto);
absl::StatusOr<Publication> FromProto(const v1::stored::Publication& proto);
absl::StatusOr<LearnedSums> FromProto(const v1::stored::LearnedSums& proto);
absl::StatusOr<RollBack> FromProto(const v1::stored::RollBack& proto);
TablePublished FromProto(const v1::stored::TablePublished& proto);
absl::StatusOr<LogEntry> FromProto(const v1::stored::LogRecord& proto);

// What FromProto reads as the same value again. Defaults come out as the values they stand for, except an offer's open
// ends and a numeric feature's open bounds, which stay absent.
v1::Item ToProto(const Item& item);
v1::Offer ToProto(const Offer& offer);  // without redemptions and spent_micros
v1::Customer ToProto(const Customer& customer);
v1::FeatureList ToProto(const FeatureList& features);
v1::Policy ToProto(const Policy& policy);  // without version, feature_fingerprint and pinned
v1::Placement ToProto(const Placement& placement);
v1::stored::Publication ToProto(const Publication& publication);
v1::stored::LearnedSums ToProto(const LearnedSums& sums);
v1::stored::RollBack ToProto(const RollBack& roll_back);
v1::stored::TablePublished ToProto(const TablePublished& published);
v1::stored::Released ToProto(const Released& released);

// Nanoseconds below a microsecond are dropped, towards the past. InvalidArgument outside of the years 1 to 9999.
absl::StatusOr<TimeMicros> ToMicros(const google::protobuf::Timestamp& time);
google::protobuf::Timestamp ToTimestamp(TimeMicros micros);

// Little-endian arrays, as the log and bases hold them. `field` names it in the error: InvalidArgument for a size that
// is no multiple, or a number that is not finite.
std::string FloatsToBytes(const Eigen::Ref<const Eigen::VectorXf>& floats);
std::string DoublesToBytes(const Eigen::Ref<const Eigen::VectorXd>& doubles);
absl::StatusOr<Eigen::VectorXf> BytesToFloats(absl::string_view bytes, absl::string_view field);
absl::StatusOr<Eigen::VectorXd> BytesToDoubles(absl::string_view bytes, absl::string_view field);
// A lower triangle, row by row; the upper half of what is read is zero. A matrix that is not square, of the diagonal form, is
// written whole, by columns: `diagonal_columns` 2 the sums (LinearStatistics::gram), 1 the factor (LinearPolicy::Parts::lower).
std::string LowerToBytes(const Eigen::MatrixXd& matrix);
absl::StatusOr<Eigen::MatrixXd> BytesToLower(const std::string& bytes, int dim, Eigen::Index diagonal_columns,
                                             absl::string_view field);

}  // namespace offerd
