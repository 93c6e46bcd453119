"""One competition pipeline: data, folds, training, prediction, submission. Knows no competition by name."""
