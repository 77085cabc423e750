"""Speech SimCLR's published tables, its conclusions, and the user's scores beside them."""

import json
from pathlib import Path

import pytest

from jfewshot import report
from jfewshot.errors import UserError
from jfewshot.reporting.speech_simclr import (
    SCORES_FILE,
    OwnScore,
    ablation_grid,
    conclusions,
    published_scores,
    read_own_scores,
    results_grid,
    scores_text,
)

# What turns each conclusion: table, row, dataset, and another value.
TURNED = {
    "contrast and reconstruction together are better than contrast alone": (2, "Speech SimCLR + Recon", "TIMIT", 16.0),
    "the best of Table 1 on emotions": (1, "MPC", "IEMOCAP", 70.0),
    "the best of Table 2 on LibriSpeech": (2, "DeCoAR", "LibriSpeech test-clean", 5.0),
    "competitive on TIMIT": (2, "Speech XLNET", "TIMIT", 10.0),
    "every augmentation helps on every task": (4, "- Room Reverb", "TIMIT", -0.1),
    "noise is the most important augmentation for recognition": (4, "- Noise", "DIRHA", -0.1),
    "the frequency mask is the most important augmentation for emotions": (4, "- Freq Mask", "IEMOCAP", -0.1),
    "reverberation does nothing for clean speech (TIMIT) and much for distant microphones (DIRHA)": (
        *(4, "- Room Reverb", "TIMIT"),
        -0.9,
    ),
}
OWN = [
    OwnScore("emotion", "IEMOCAP", "mine", "UAR", 0.61, 0.58, 0.64, 3),
    OwnScore("emotion", "IEMOCAP", "mine", "accuracy", 0.62, None, None, 3),
    OwnScore("asr", "LibriSpeech test-clean", "mine", "WER", 0.071, 0.069, 0.073, 1),
    OwnScore("asr", "TIMIT", "FBANK", "PER", 0.17, 0.16, 0.18, 1),
]


def test_conclusions_follow_from_the_numbers_and_other_numbers_turn_them():
    before = {claim.text: claim for claim in conclusions()}
    assert [text for text, claim in before.items() if not claim.holds] == ["every augmentation helps on every task"]
    assert "17 of 18 cases; not so Room Reverb on TIMIT" in before["every augmentation helps on every task"].found
    assert set(before) == set(TURNED)
    for text, (table, row, dataset, value) in TURNED.items():
        changed = [
            score._replace(value=value) if (score.table, score.row, score.dataset) == (table, row, dataset) else score
            for score in published_scores()
        ]
        assert changed != list(published_scores())
        turned = {claim.text: claim for claim in conclusions(changed)}[text]
        assert turned.holds is not before[text].holds, text
        assert turned.found != before[text].found


def test_the_page_of_reports_has_every_conclusion_with_its_numbers():
    page = (Path(report.__file__).parents[1] / "docs" / "report.md").read_text("utf-8")
    for claim in conclusions():
        assert f"| {'yes' if claim.holds else '**no**'} | {claim.text} | {claim.found} |\n" in page


def test_tables_are_as_printed_with_own_scores_below():
    one, two = (results_grid(number, "", OWN) for number in (1, 2))
    assert [cell.text for cell in one.rows[4]] == ["Speech SimCLR + Recon", "LibriSpeech, 960 h", "65.1"]
    assert one.rows[4][2].mark == "best"
    assert [cell.text for cell in one.rows[-1]] == ["mine (here)", "–", "61.0 (58.0 to 64.0)"]
    assert len(one.rows) == 6
    assert [cell.text for cell in two.rows[1]] == ["vq-wav2vec", "–", "6.20", "–"]
    assert [[cell.text for cell in row] for row in two.rows[-2:]] == [
        ["mine (here)", "–", "7.1 (6.9 to 7.3)", "–"],
        ["FBANK (here)", "–", "–", "17.0 (16.0 to 18.0)"],
    ]
    four = ablation_grid()
    assert [cell.text for cell in four.rows[0]] == ["All", "82.7", "72.5", "63.7"]
    assert [cell.text for cell in four.rows[4]] == ["without Freq Mask", "−0.2", "−0.4", "−2.4"]
    assert [cell.text for cell in four.rows[7]][1:] == ["waits for TIMIT", "waits for DIRHA", "–"]
    assert len(four.rows) == len(ablation_grid(OWN).rows) == 8  # a phone error rate is no frame accuracy
    frames = [
        OwnScore("phones", dataset, "mine, linear", "frame accuracy", value, value - 0.01, value + 0.01, 3)
        for dataset, value in (("TIMIT", 0.61), ("DIRHA real, LA6", 0.4), ("mine", 0.9))
    ]
    four = ablation_grid(OWN + frames)
    assert [cell.text for cell in four.rows[7]] == [
        "mine, linear, frames (here)", "61.0 (60.0 to 62.0)", "40.0 (39.0 to 41.0)", "–"
    ]  # fmt: skip
    assert len(four.rows) == 8


def test_the_page_shows_own_scores_and_refuses_what_has_none(tmp_path, capsys):
    (tmp_path / "emotion" / "report").mkdir(parents=True)
    (tmp_path / "emotion" / "report" / SCORES_FILE).write_text(scores_text(OWN))
    assert read_own_scores(tmp_path / "emotion") == OWN
    out = tmp_path / "page"
    report.main(["--paper-speech-simclr", "--beside", str(tmp_path / "emotion"), "--out", str(out)])
    shown = capsys.readouterr().out
    assert "mine (here)" in shown
    assert "Both words are kept" in shown
    assert "Your own results" in (out / "index.html").read_text("utf-8")
    assert (out / "tables" / "table-4.csv").exists()
    with pytest.raises(UserError, match=r"has no scores\.json: name the output folder of `jfewshot emotion`"):
        read_own_scores(tmp_path)
    (tmp_path / SCORES_FILE).write_text(json.dumps({"scores": [{"task": "asr"}]}))
    with pytest.raises(UserError, match=r"scores\.json is damaged .*: write the report of that experiment again"):
        read_own_scores(tmp_path)
    with pytest.raises(UserError, match="--beside is used with --paper or --paper-speech-simclr"):
        report.main(["--beside", str(tmp_path)])
