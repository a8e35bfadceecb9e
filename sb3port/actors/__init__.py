"""Who acts in rollouts."""
