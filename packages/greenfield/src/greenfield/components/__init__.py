"""One package for each kind of resource. None knows another; each imports programs, model and errors only."""
