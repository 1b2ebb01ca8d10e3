"""Closed forms of small networks, and what is counted and decided on them."""
