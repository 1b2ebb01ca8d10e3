"""From a network to the list of equations: forward, reverse mode, update, increments, compensation."""
