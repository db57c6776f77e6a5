"""The process and its machine: environment, devices, signals, memory, process groups."""
