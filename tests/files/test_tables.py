import csv
import io

import pandas
import pytest

from jfewshot.errors import UserError
from jfewshot.files.csv_cells import csv_text, escape_formula, unescape_formula
from jfewshot.files.tables import read_table

FIX = "give a CSV with the columns path and text"
ROWS = [{"path": "a.wav", "text": "one, two"}, {"path": "b.wav", "text": 'he said "x"'}, {"path": "ü.wav", "text": ""}]


def write(folder, content, name="t.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_rows_come_as_dictionaries_without_the_mark_of_spreadsheets(tmp_path):
    path = write(tmp_path, b'\xef\xbb\xbfpath,text\r\na.wav,"one, two"\r\nb.wav,"three\nfour"\r\nc.wav,five\r\n')
    rows = read_table(path, ("path", "text"), FIX)
    assert rows == [
        {"path": "a.wav", "text": "one, two"},
        {"path": "b.wav", "text": "three\nfour"},
        {"path": "c.wav", "text": "five"},
    ]
    assert [row.line for row in rows] == [2, 3, 5]


def test_another_delimiter(tmp_path):
    path = write(tmp_path, "path\ttext\na,b.wav\tone\n", "t.tsv")
    assert read_table(path, ("path",), FIX, "\t") == [{"path": "a,b.wav", "text": "one"}]


def spreadsheet(delimiter, bom=False, padded=False):
    """A table as LibreOffice and Excel export it: CRLF, quotes; padded with empty columns and rows."""
    pad = delimiter * 2 if padded else ""
    quoted = [f'{row["path"]}{delimiter}"{row["text"].replace(chr(34), chr(34) * 2)}"{pad}' for row in ROWS]
    lines = [f"path{delimiter}text{pad}", *quoted, *([delimiter + pad] * 2 if padded else [])]
    return b"\xef\xbb\xbf" * bom + "".join(line + "\r\n" for line in lines).encode()


@pytest.mark.parametrize(
    "content",
    [
        *(pandas.DataFrame(ROWS).to_csv(index=False, sep=sep) for sep in ",;\t|"),
        pandas.DataFrame(ROWS).to_csv(index=False, quoting=csv.QUOTE_ALL, lineterminator="\r\n"),
        pandas.DataFrame(ROWS).to_json(orient="records", lines=True),
        pandas.DataFrame(ROWS).to_json(orient="records", lines=True, force_ascii=False),
        *(spreadsheet(delimiter, bom, padded) for delimiter in ",;\t" for bom in (0, 1) for padded in (0, 1)),
        'path,text\ra.wav,"one, two"\rb.wav,"he said ""x"""\rü.wav,\r',  # an old Macintosh's
        "\n".join(["path,text", 'a.wav,"one, two"', "", 'b.wav,"he said ""x"""', "ü.wav,", "", ""]),
    ],
)
def test_the_same_table_from_other_programs_is_the_same(tmp_path, content):
    assert read_table(write(tmp_path, content), ("path", "text"), FIX) == ROWS


def test_an_index_column_of_pandas_is_kept_apart(tmp_path):
    path = write(tmp_path, pandas.DataFrame(ROWS).to_csv())
    assert [{key: row[key] for key in ("path", "text")} for row in read_table(path, ("path",), FIX)] == ROWS


def test_quotes_mean_nothing_in_a_tab_separated_table_whose_lines_fit(tmp_path):
    sentences = ['"Tri pedwar', '"Saith" wyth.', "Pump.", 'Two"', '"whole"', "x\u2028y", '"']
    text = "path\ttext\n" + "".join(f"{n}.wav\t{sentence}\n" for n, sentence in enumerate(sentences))
    path = write(tmp_path, text, "t.tsv")
    assert [row["text"] for row in read_table(path, (), FIX, "\t", quoting=False)] == sentences
    guessed = [row["text"] for row in read_table(path, (), FIX, "\t")]
    assert guessed == [*sentences[:4], "whole", *sentences[5:]]


def test_a_quoted_tab_or_newline_in_a_tab_separated_table_is_read(tmp_path):
    rows = [{"path": "a.wav", "text": "one\ttwo"}, {"path": "b.wav", "text": "three\nfour"}]
    path = write(tmp_path, pandas.DataFrame(rows).to_csv(index=False, sep="\t"), "t.tsv")
    assert read_table(path, (), FIX, "\t") == rows


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "t.csv does not exist; give a CSV with the columns path and text"),
        ("path,words\na,b\n", "has no column 'text'; it has path, words. Give a CSV with the columns path and text"),
        ("path, Text \na,b\n", "has no column 'text'; it has path, ' Text '. Rename ' Text ' to text. Give a CSV"),
        ("Path,TEXT\na,b\n", "has no column 'path'; it has Path, TEXT. Rename 'Path' to path."),
        ("path,text,path\na,b,c\n", "has the column 'path' twice"),
        ("", "has no column 'path'; it has none. Give a CSV"),
        (
            b"path,text\na,x\nb,caf\xe9\n",
            "line 3 holds the byte 0xe9, which is 'é' in Latin-1 and Windows-1252. Save it as",
        ),
        ("path,text\na,ü\n".encode("utf-16"), "it is in UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8"),
        ("path,text\na,ü\n".encode("utf-16-be"), "it is in UTF-16; save it as UTF-8"),
        ("path,text\na,b\0\n", "line 2 holds a NUL character"),
        (
            'path,text\na,b\nc,"d\ne,f\n',
            "lines 3 to 4 cannot be read (unexpected end of data): a quote is opened and not",
        ),
        ('path,text\na,"b\nc,"d\n', "lines 2 to 3 cannot be read ("),
        ('path,text\na,"b" c\n', "line 2 cannot be read ("),
        (
            "path,text\na.wav,Owl, barn\n",
            "line 2 has 3 fields, the header has 2; a field that holds ',' must stand in quotes",
        ),
        (
            "path;text\na.wav;Owl; barn\n",
            "line 2 has 3 fields, the header has 2; a field that holds ';' must stand in quotes",
        ),
        ("path,text\na,b\nc\n", "line 3 has 1 field, the header has 2; is the line cut short"),
        ("path\ttext\na\tb\nc\td\te\n", "line 3 has 3 fields"),
        ('{"path": "a"}\n{"path": \n', "line 2 is not JSON ("),
        ('{"path": ' + "7" * 5_000 + "}\n", "line 1 holds a number of thousands of digits"),
        ('{"path": "a"}\n[1]\n', "line 2 is not a JSON object"),
        ('[{"path": "a", "text": "b"}]', "it is a JSON list; give one JSON object a line"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "run `git lfs pull`"),
        (b"PAR1\x15", "it is a Parquet file"),
        (b"PK\x03\x04\x14", "Excel or LibreOffice workbook; save the sheet as CSV"),
        (b"\x1f\x8b\x08", "it is compressed with gzip"),
        ("<!DOCTYPE html><html>", "it is a web page"),
        (b"path,text\n" + b'"' + b"x" * 2**25 + b'",b\n', "line 2 cannot be read (field larger than field limit"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_a_line(tmp_path, content, said):
    if content is not None:
        write(tmp_path, content)
    with pytest.raises(UserError) as error:
        read_table(tmp_path / "t.csv", ("path", "text"), FIX)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_long_cell_is_read_and_the_limit_of_others_stays(tmp_path):
    before = csv.field_size_limit()
    rows = read_table(write(tmp_path, "path,text\na," + "x" * 200_000 + "\n"), (), FIX)
    assert len(rows[0]["text"]) == 200_000
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("text", ["=cmd()|' /C calc'!A0", "+1", "-x", "@SUM(1)", "'=x", "''-", "'", "'a", "it's", ""])
def test_formulas_get_an_apostrophe_that_the_reader_takes_off(tmp_path, text):
    escaped = escape_formula(text)
    assert escaped[:1] not in tuple("=+-@")
    assert unescape_formula(escaped) == text
    path = write(tmp_path, csv_text([("path", "text"), ("a", text)]))
    assert read_table(path, (), FIX) == [{"path": "a", "text": text}]
    assert list(csv.reader(io.StringIO(path.read_text(), newline="")))[1] == ["a", escaped]


def test_lines_are_those_of_pythons_writer_and_a_lone_return_is_quoted():
    rows = [("a", 1, -2.5, None), ('b"c', "d,e", "f\ng", " h"), ("", "", "", "")]
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    assert csv_text(rows) == file.getvalue()
    assert csv_text([("",), ("a\rb",)]) == '""\n"a\rb"\n'
