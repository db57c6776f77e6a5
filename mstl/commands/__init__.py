"""The commands, click only: one file each."""
