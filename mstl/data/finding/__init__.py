"""From what ``--data`` says to labelled files."""
