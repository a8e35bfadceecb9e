"""Policies that act without LeRobot and without SB3: what `sb3port.load_policy` gives."""
