"""From numbers to what people read: tables, figures, one HTML page.

| file | what it makes |
|---|---|
| `conditions` | what the cells of one table must share, in words |
| `leaderboard` | upstreams x datasets out of result records: cells, averages, ranks |
| `grid` | a table of text, and how it is written in a terminal, Markdown, LaTeX and CSV |
"""
