"""The Antavo-compatible door: that product's addresses, forms, codes and signatures before the one pipeline."""
