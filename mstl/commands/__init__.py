"""The commands, one a file; click only."""
