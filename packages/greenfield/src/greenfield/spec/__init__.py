"""Text and catalogue in, Declaration out, with positions; every mistake is collected. Pure."""
