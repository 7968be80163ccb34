"""Every public function of the C library is in a table of csrc/test/test_arguments*.c."""

import re

from minigrad.kernels import HEADER, SOURCES

TABLED = re.compile(r"\b(?:FUNCTION|SIZE_FUNCTION|CONV_CALL|DSQ_CALL|VJP_CALL|LINEAR)\((mgk_\w+)")


def test_every_function_of_the_header_is_in_a_table() -> None:
    public = set(re.findall(r"^MGK_API [^(]*?\b(mgk_\w+)\(", HEADER.read_text(), re.MULTILINE))
    text = "".join(path.read_text() for path in sorted((SOURCES / "test").glob("test_arguments*.c")))
    questions = text[text.index("static void test_questions") : text.index("int main")]
    tabled = set(TABLED.findall(text)) | (set(re.findall(r"\b(mgk_\w+)\(", questions)) - {"mgk_path", "mgk_status"})
    assert len(public) > 40
    assert tabled == public
