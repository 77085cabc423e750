"""Figures for papers with matplotlib, all in one style, in colours that colour-blind readers can distinguish.

| file | figures |
|---|---|
| `style` | fonts, colours, markers; saving as PNG, SVG and PDF |
| `fonts` | fonts for names in any script |
| `bars` | accuracy with intervals; speed |
| `correlation` | regression panels (the paper's Figure 1), heat map (its Figure 2) |
| `curves` | accuracy over shots, ways, layers |
| `ranks` | critical-difference diagram; wins and losses |
| `shifts` | accuracy with supports of the same speaker or site, and of others |
| `similarity` | how alike the spaces of encoders are |
| `costs` | accuracy against parameters, operations and clips per second |
| `classes` | confusion, hardest classes, accuracy over episodes |

Every function takes arrays and labels and returns a `matplotlib.figure.Figure`.
"""
