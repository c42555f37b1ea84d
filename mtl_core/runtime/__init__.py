"""What a model at work needs, training or not: prepared rows, batches, devices, checkpoints, scores. No optimizer, no loop."""
