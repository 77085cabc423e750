"""Speech recognition on an encoder: the Speech SimCLR paper's Tables 2 and 3, as far as possible without Kaldi.

- `config`: an experiment's settings, which are the options of `jfewshot asr`
- `settings`: settings of the decoder, the recurrent model and the beam search
- `datasets`: LibriSpeech, TIMIT, the user's own data
- `units`: characters, words, pieces, phones, as numbers
- `model`, `decoder`, `recurrent`: attention-CTC, or recurrent layers under CTC
- `losses`: the joint loss
- `ctc`, `beam`, `language_model`: decoding
- `scores`: error rates, with intervals over utterances
- `batches`, `training`, `trial`: one run: train, choose checkpoints on the development utterances, recognise the test
  utterances once
- `preparation`, `planning`, `experiment`: all folds and seeds; an interrupted experiment continues
- `summary`, `report`: tables, figures, one page
- `python -m jfewshot.downstream.asr`
"""
