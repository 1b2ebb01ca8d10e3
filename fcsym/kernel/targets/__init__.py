"""Targets: one file for each language that the neutral form is printed in."""
