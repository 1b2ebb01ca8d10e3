"""One file per chapter; `reliability.frame` says what is in it. A file that is here is found, and listed nowhere."""
