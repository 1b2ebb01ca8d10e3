"""What pictures are made of, as SVG: frames, names, regions and lines; it knows no network and no derivation."""
