"""What components share about a real program: how its configuration is written and its command line is built. Pure."""
