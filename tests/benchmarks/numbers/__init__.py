"""`make numbers`: claims, tables of pages, and the command."""
