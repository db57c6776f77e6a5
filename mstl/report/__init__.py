"""Pages and plots: data, training and predictions as people look at them."""
