"""Placement of a model on devices: memory on each, the best placement, and the speed to expect."""
