"""The two engines that act on the world. They do not know each other."""
