"""On what a port is compared: recorded, drawn and edge observations."""
