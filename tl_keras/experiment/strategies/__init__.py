"""How the runs of each strategy are made: a module for each way, named in the strategies' table.

A module has three functions:

- `fit(prepared, run, draw) -> Fitted` makes a run on the images of a draw;
- `model(prepared, run, weights) -> keras.Model` rebuilds the classifier of a finished run, images
  0..255 (batch, size, size, 3) to probabilities, from the weights that it left. It pools maps
  and ends in a Softmax layer, which is what the pictures of its errors are drawn from;
- `seconds(run, config, train, validation) -> float` is a rough guess for so many images.

One whose strategy changes the backbone also has `trained_backbone(prepared, run, weights)`, the
`Backbone` with its weights, or None where no training improved on the source's.
"""
