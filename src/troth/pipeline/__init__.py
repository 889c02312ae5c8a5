"""The one way in: validate → claim → load → decide → write, a batch at a time, each batch one transaction."""
