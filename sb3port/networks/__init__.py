"""What the policies of SB3 and sb3-contrib compute, in torch and nothing else."""
