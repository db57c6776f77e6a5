"""Find the samples that `--data` names, without reading any image."""
