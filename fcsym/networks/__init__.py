"""Networks as data: layers, widths, activations, and the names of their numbers."""
