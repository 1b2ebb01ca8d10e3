"""The language in which every equation is written; it knows no network and no reader."""
