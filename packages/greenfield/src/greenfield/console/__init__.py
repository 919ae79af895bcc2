"""The local web page over the supervisor's API."""
