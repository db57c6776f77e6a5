"""Review: decisions about single images, which are applied to the data, and taken back."""
