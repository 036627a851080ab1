"""Fine-tuning of the encoder on tasks, on the common training loop."""
