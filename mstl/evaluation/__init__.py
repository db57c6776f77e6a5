"""How good the answers are, how far to trust them, and which labels look wrong."""
