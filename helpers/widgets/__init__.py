"""Widgets to turn a parameter with and see what it does, one file each."""
