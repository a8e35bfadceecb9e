"""Our own PPO: the updates of Stable-Baselines3, bit for bit, in less time."""
