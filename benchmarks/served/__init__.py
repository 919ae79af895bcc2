"""The same small answer by the kit and by plain FastAPI, to be served side by side."""
