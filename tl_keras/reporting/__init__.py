"""Rows, tables and what the terminal shows."""
