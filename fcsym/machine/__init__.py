"""What the machine gives: programs that are started, and memory."""
