"""Measurements of this machine: memory, cores, memory bandwidth."""
