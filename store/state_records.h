#pragma once
#include "absl/status/status.h"
#include "core/learn/fold.h"
#include "core/types.h"
#include "store/store.h"

namespace offerd {

// Writes the whole fold as the records of a base; the caller finishes the writer.
absl::Status WriteImage(const FoldImage& image, Store::BaseWriter& writer);

// The fold as it was, to the bit, into an empty Fold. DataLoss or InvalidArgument when the base is damaged or says what
// cannot be; the fold is of no use then.
absl::Status LoadImage(Store& store, Sequence base, Fold& fold);

// A number over everything in the fold: equal states have equal numbers, whatever way led to them.
uint64_t StateDigest(const FoldImage& image);

}  // namespace offerd
