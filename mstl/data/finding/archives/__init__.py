"""Archives: unpacked once and safely, whatever is in them."""
