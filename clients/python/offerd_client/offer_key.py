"""The key of an offer in the compact form of RankOffers."""


def offer_key(offer_id):
    """The FNV-1a hash, 64 bits, of the id in UTF-8. It never changes: compute it once and keep it with the offer."""
    key = 0xCBF29CE484222325
    for byte in offer_id.encode():
        key = (key ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return key
