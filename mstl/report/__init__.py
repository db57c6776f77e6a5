"""What a person looks at: pictures of data, training and predictions."""
