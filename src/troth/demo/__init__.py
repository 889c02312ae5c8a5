"""A believable shop, made from a seed: who joins, what they buy and what else they do. The same seed, the same shop."""
