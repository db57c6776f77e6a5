"""Downloads: a file from the network, complete and verified, or not at all."""
