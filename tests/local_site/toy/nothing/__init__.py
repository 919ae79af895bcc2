"""A kind of which nothing but the name is built."""
