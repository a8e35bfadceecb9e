"""The oracle: SB3's and sb3-contrib's own classes, built from what was read statically."""
