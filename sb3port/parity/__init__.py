"""Proof that a port computes what its source computes, with SB3's own classes as the oracle."""
