"""Applications for tests of the kit, each served by a process of its own."""
