"""Speech recognition on an encoder: the Speech SimCLR paper's Tables 2 and 3, as far as they go without Kaldi.

- `datasets`: LibriSpeech, TIMIT, the user's own
- `units`, `phones`: characters, words, pieces, phones, as numbers
- `model`, `decoder`, `recurrent`: attention-CTC, or recurrent layers under CTC
- `losses`: the joint loss
- `ctc`, `beam`, `language_model`: decoding
- `scores`: error rates, with intervals over utterances
"""
