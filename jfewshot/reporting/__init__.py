"""From numbers to what people read: tables, figures, one HTML page.

| file | what it does |
|---|---|
| `conditions` | what the cells of one table must share, in words |
| `labels` | names of rows and columns, as short as tells one from another |
| `leaderboard` | upstreams x datasets out of result records: cells, averages, ranks |
| `grid` | a table of text, and how it is written in a terminal, Markdown, LaTeX and CSV |
| `tables` | leaderboards as tables, for terminals, papers, spreadsheets |
| `published` | published numbers that ship with the package |
| `metrics` | which metric a table shows |
| `scoring` | how well queries were answered, from kept predictions or counts |
| `pairing` | the kept predictions of one dataset's upstreams, side by side |
| `analysis` | paired differences, ranks, hard classes of a leaderboard |
| `series` | leaderboards that differ in shots alone; one table across all conditions |
| `along_curve`, `curves_json` | along a curve over shots: who changes places, do few labels rank as many do; all of it as JSON |
| `labels_needed` | labels per class for an accuracy: read off the curve over shots, or extrapolated |
| `answer`, `cautions`, `printing` | the answer in words, what to read it with, and both on a terminal |
| `trends` | curves over shots, ways and layers |
| `chosen` | what validation chooses |
| `scored` | how far probabilities can be trusted, from kept scores |
| `strengths` | which strengths episodes chose, and which given ones are too small or too large |
| `outside` | beside published numbers, and correlations with any table |
| `costs` | accuracy against parameters, operations and clips per second; who is on the Pareto front |
| `spaces` | what the embeddings themselves say: measures, similarity of encoders, near-duplicates, suspect labels |
| `claims` | every claim of the few-shot paper's text, checked against its published numbers |
| `speech_simclr` | the same for the published tables of Speech SimCLR |
| `paper`, `paper_report` | the few-shot paper's tables and figures, with the user's own results beside them |
| `shifts` | supports of the same speaker or site as the queries, and of others |
| `compare` | what moved between two result folders |
| `exports`, `hub` | tidy CSV, Parquet, MTEB's JSON; files of the Hugging Face Hub |
| `figures/` | matplotlib figures |
| `document`, `charts`, `page` | what a page is made of, its Plotly charts, and its HTML |
| `choices`, `sections`, `writer`, `build` | what a report shows, its sections, its files, and putting it together |
"""
