"""Where neither SB3 nor LeRobot is, and back to SB3: what is exported, and the proof of it."""
