"""PROOF: recompute everything that is a cache from events and postings; `verify` compares, `rebuild` mends."""
