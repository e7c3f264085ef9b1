#pragma once
#include <cstdint>
#include <string_view>

namespace offerd::client {

// Names an offer in RankOffersRequest.offer_keys: the FNV-1a hash, 64 bits, of its id in UTF-8. It never changes: compute it once and
// keep it with the offer.
constexpr uint64_t OfferKey(std::string_view offer_id) {
  uint64_t key = 0xcbf29ce484222325;
  for (const char byte : offer_id) key = (key ^ static_cast<unsigned char>(byte)) * 0x100000001b3;
  return key;
}

}  // namespace offerd::client
