package offerd

import "hash/fnv"

// OfferKey names an offer in RankOffersRequest.OfferKeys: the FNV-1a hash, 64 bits, of its id in UTF-8. It never changes: compute it once
// and keep it with the offer.
func OfferKey(offerID string) uint64 {
	hash := fnv.New64a()
	hash.Write([]byte(offerID)) // never fails
	return hash.Sum64()
}
