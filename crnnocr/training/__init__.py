"""Training: batches, augmentation, the schedule and the loop."""
