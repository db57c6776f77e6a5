"""What must be settled before anything is computed: environment, devices, signals, memory, processes."""
