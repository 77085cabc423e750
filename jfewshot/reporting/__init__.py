"""Show results to people: tables, figures, one HTML page.

| file | what it does |
|---|---|
| `conditions` | the settings that the cells of one table must share, as text |
| `labels` | names of rows and columns, as short as possible and all different |
| `leaderboard` | upstreams x datasets from result records: cells, averages, ranks |
| `grid` | a table of text, written for a terminal, in Markdown, LaTeX and CSV |
| `tables` | leaderboards as tables, for terminals, papers, spreadsheets |
| `published` | published numbers that ship with the package |
| `metrics` | the metric that a table shows |
| `scoring` | how well queries were answered, from kept predictions or counts |
| `pairing` | the kept predictions of one dataset's upstreams, side by side |
| `analysis` | paired differences, ranks, hard classes of a leaderboard |
| `series` | leaderboards that differ in shots alone; one table across all conditions |
| `along_curve`, `curves_json` | changes along a curve over shots: order of encoders, agreement of rankings; all of it as JSON |
| `labels_needed` | labels per class for an accuracy: from the curve over shots, or extrapolated |
| `answer`, `cautions`, `printing` | the answer in sentences, its cautions, and both on a terminal |
| `after_run` | what a run prints: tables, the answer, warnings, its speed |
| `classifier_rows`, `classifier_wins` | classifiers compared on the same cells: means, ranks, tests; wins, ties and losses |
| `classifier_tables`, `classifier_blocks` | the same as tables with a row for each classifier, and as JSON; in the report |
| `trends` | curves over shots, ways and layers |
| `chosen` | the options that validation chooses |
| `scored` | how far probabilities can be trusted, from kept scores |
| `strengths` | the strengths that episodes chose, and given strengths that are too small or too large |
| `fusions` | the parts of fusions, and the weights that episodes chose |
| `outside` | comparison with published numbers, and correlations with any table |
| `costs` | accuracy against parameters, operations and clips per second; the Pareto front |
| `spaces` | diagnostics of embeddings: measures, similarity of encoders, near-duplicates, suspect labels |
| `claims` | every claim of the few-shot paper's text, checked against its published numbers |
| `speech_simclr` | the same for the published tables of Speech SimCLR |
| `paper`, `paper_report` | the few-shot paper's tables and figures, with the user's own results beside them |
| `shifts` | accuracy with supports of the same speaker or site as the queries, and of others |
| `compare` | the differences between two result folders |
| `tidy` | one typed row per result, as CSV and Parquet |
| `exports`, `hub` | MTEB's JSON, files of the Hugging Face Hub, and writing all exports |
| `file_names` | file names of upstreams and datasets that every system accepts |
| `figures/` | matplotlib figures |
| `document`, `charts`, `page` | the parts of a page, its Plotly charts, and its HTML |
| `choices`, `sections`, `writer`, `build` | what a report shows, its sections, its files, and putting it together |
"""
