"""Where points live: manifolds, their geodesics and their distributions."""
