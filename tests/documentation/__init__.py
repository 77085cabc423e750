"""The pages below docs/ and the README: their commands, links and marks."""
