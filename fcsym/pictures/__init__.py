"""Pictures: the network, maps of cases, charts, and the explorer."""
