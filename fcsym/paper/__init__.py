"""What the paper says, held against what is derived."""
