import pytest

from jfewshot.errors import UserError
from jfewshot.files.tables import read_table

FIX = "give a CSV with the columns path and text"


def test_rows_come_as_dictionaries_without_the_mark_of_spreadsheets(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfpath,text\r\na.wav,"one, two"\r\nb.wav,"three\nfour"\r\n')
    assert read_table(path, ("path", "text"), FIX) == [
        {"path": "a.wav", "text": "one, two"},
        {"path": "b.wav", "text": "three\nfour"},
    ]


def test_another_delimiter(tmp_path):
    path = tmp_path / "t.tsv"
    path.write_text("path\ttext\na,b.wav\tone\n")
    assert read_table(path, ("path",), FIX, "\t") == [{"path": "a,b.wav", "text": "one"}]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "t.csv does not exist; give a CSV with the columns path and text"),
        (
            b"path,words\na,b\n",
            "t.csv has no column 'text'; it has path, words. Give a CSV with the columns path and text",
        ),
        (b"", "t.csv has no column 'path'; it has none. Give a CSV"),
        (b"path,text\na,\xe9\n", "t.csv is not a table in UTF-8 text"),
        (
            b"path,text\n" + b"x" * 200_000 + b",b\n",
            "t.csv is not a table in UTF-8 text: field larger than field limit",
        ),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_a_line(tmp_path, content, said):
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError) as error:
        read_table(tmp_path / "t.csv", ("path", "text"), FIX)
    assert said in str(error.value)
    assert "\n" not in str(error.value)
