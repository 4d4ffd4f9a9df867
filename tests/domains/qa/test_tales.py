"""Stories are written in bAbI's form and read again."""

import io

from deepfield.domains.qa.tales import Question, Tale, write_babi


def test_babis_form(tmp_path):
    file = io.StringIO()
    tale = Tale(
        ("Ann went to the park.", "Ann took the map."),
        (Question(1, "Where is Ann?", "park", (0,), "where_person"),
         Question(2, "Where is the map?", "park", (0, 1), "where_thing")),
    )  # fmt: skip
    write_babi([tale, tale], file)
    once = (
        "1 Ann went to the park.\n2 Where is Ann? \tpark\t1\n3 Ann took the map.\n"
        "4 Where is the map? \tpark\t1 3\n"
    )
    assert file.getvalue() == once + once
