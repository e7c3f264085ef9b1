#pragma once
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// The packaged Abseil has no status macros; these are the usual two.
#define OFFERD_CONCAT_INNER(a, b) a##b
#define OFFERD_CONCAT(a, b) OFFERD_CONCAT_INNER(a, b)

#define RETURN_IF_ERROR(expression)                             \
  do {                                                          \
    ::absl::Status offerd_status = (expression);                \
    if (!offerd_status.ok()) return offerd_status;              \
  } while (false)

#define ASSIGN_OR_RETURN(declaration, expression) \
  ASSIGN_OR_RETURN_IMPL(OFFERD_CONCAT(offerd_or_, __LINE__), declaration, expression)
#define ASSIGN_OR_RETURN_IMPL(name, declaration, expression) \
  auto name = (expression);                                  \
  if (!name.ok()) return name.status();                      \
  declaration = std::move(name).value()
