from coreos_kit.config.lines import line_of, line_table, shown

TEXT = '''
# [not.a.table]
top = 1
[a]
b = [ # ]
  "x = 1", """
k = 2
""",
]
c.d = { e = 1, f = "}" }
"q.r" = 'lit # eral'
long = \'\'\'
[no.table]
\'\'\'
  [ a . "s t" ]
v = "\\"#["
w = 1
[[x.y]]
z = 1
'''


def test_keys_are_found_on_their_lines_whatever_strings_and_comments_say() -> None:
    lines = line_table(TEXT)

    assert lines == {
        ("top",): 3,
        ("a",): 4,
        ("a", "b"): 5,
        ("a", "c"): 10,
        ("a", "c", "d"): 10,
        ("a", "q.r"): 11,
        ("a", "long"): 12,
        ("a", "s t"): 15,
        ("a", "s t", "v"): 16,
        ("a", "s t", "w"): 17,
        ("x",): 18,
        ("x", "y"): 18,
        ("x", "y", "z"): 19,
    }


def test_what_is_inside_a_value_is_on_the_line_where_the_value_begins() -> None:
    lines = line_table(TEXT)

    assert line_of(lines, ("a", "b", 1)) == 5
    assert line_of(lines, ("a", "c", "d", "e")) == 10
    assert line_of(lines, ("nowhere",)) is None


def test_a_key_path_is_written_as_toml_would() -> None:
    assert shown(("services", "a b", "instances", 2)) == 'services."a b".instances[2]'
