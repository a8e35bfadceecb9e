"""The policies of algorithms that learn from replayed steps, and of ARS, in torch."""
