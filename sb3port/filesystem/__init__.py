"""What is written appears whole or not at all, and nothing is removed that sb3port did not make."""
