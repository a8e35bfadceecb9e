"""Environments stepped together, and what they gave: the rollout, its advantages, its normalisation."""
