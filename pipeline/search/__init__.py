"""Search over the options of experiments: the space, the trials, the page of what was found."""
