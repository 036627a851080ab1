"""The one training loop that every task runs on: batches by number, exact resume, curves."""
