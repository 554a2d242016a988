"""Random checkpoints, to test the converter and to measure speed with."""
