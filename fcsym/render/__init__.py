"""Readings for people: plain text, LaTeX, the terminal. No mathematics happens here."""
