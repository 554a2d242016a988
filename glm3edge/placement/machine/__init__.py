"""Facts about this machine: memory, cores, memory bandwidth."""
