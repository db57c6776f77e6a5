"""Folders: which of them are parts, which are classes, and which are neither."""
