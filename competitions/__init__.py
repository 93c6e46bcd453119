"""One folder for each competition; see the README for how to add one."""
