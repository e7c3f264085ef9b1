// Names an offer in RankOffersRequest.offerKeys: the FNV-1a hash, 64 bits, of its id in UTF-8, in decimal as all 64-bit numbers here. It
// never changes: compute it once and keep it with the offer.
export function offerKey(offerId: string): string {
  let key = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(offerId, "utf8")) key = BigInt.asUintN(64, (key ^ BigInt(byte)) * 0x100000001b3n);
  return key.toString();
}
