"""From predictions to numbers: scores, intervals, comparisons."""
