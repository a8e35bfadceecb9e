"""Model cards: the `README.md` of a port, in its folder and on the Hub."""
