"""Fine-tuning: what is frozen, the step, the loop, and what is kept of it."""
