"""Fine-tuning: recipes, freezing, optimizers, the training loop, checkpoints and resuming."""
