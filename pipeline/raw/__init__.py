"""Bytes to files to arrays: archives, downloads, decoding."""
