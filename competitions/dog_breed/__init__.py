"""Which of 120 breeds a dog is of: probabilities, from the features of a pretrained network."""
