"""What an experiment stores, and what follows from it: runs, tables, comparisons, choice."""
