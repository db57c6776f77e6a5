"""Photos: where they are, what is wrong with them, and how they become batches."""
