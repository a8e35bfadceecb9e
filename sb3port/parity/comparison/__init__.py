"""How far apart two things are, what that means, and the report of it. No torch, no files."""
