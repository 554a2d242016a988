"""What fits where: memory by device, the best placement, and how fast it will be."""
