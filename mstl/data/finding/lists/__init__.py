"""Lists: which image has which label, in the many ways in which people write that down."""
