"""Kernels against independent autodiff; it knows networks and no derivation."""
