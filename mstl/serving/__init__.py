"""Serving: a local server with a page to try a model on, and an API to build on."""
