"""Runs side by side: ours, and those that SB3 and rl_zoo3 logged."""
