#pragma once
#include "offerd/v1/lists.pb.h"
#include "offerd/v1/types.pb.h"
#include "server/field_checks.h"

// Parts of validation.h: of a placement's lists, and of a cart.
namespace offerd {

void CheckLists(const v1::Lists& lists, field_checks::Checker& check);
void CheckCart(const google::protobuf::RepeatedPtrField<v1::CartLine>& cart, field_checks::Checker& check);

}  // namespace offerd
