"""What is written appears whole or not at all, and what strangers wrote is shown as text and nothing else."""
