"""Choose the clips to label on a budget (`jfewshot label next`), and measure the gain (`jfewshot label compare`).

- `choosing`: k-centre and k-medoids, from distances
- `plain_head`: ridge regression on any labelled clips, and its margins
- `splits`: clips that are held out throughout, and random orders of the others
- `simulating`: accuracy over the number of labels, thousands of repetitions at once
- `comparing`: compares the methods of choosing, with intervals
- `proposing`: the clips of a store to label next, as a CSV
- `options`: the command lines
"""
