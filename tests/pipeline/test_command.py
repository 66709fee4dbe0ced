from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlbuild.pipeline.command import mentioned_outputs, render

NASTY = 'it\'s "a" $HOME `id` \\ b*'


@pytest.mark.parametrize(
    "template",
    [
        "printf %s ${{ inputs.x }}",
        'printf %s "${{ inputs.x }}"',
        "printf %s '${{ inputs.x }}'",
        'printf %s "$(printf %s "${{ inputs.x }}")"',
        "true # it's a comment\nprintf %s ${{ inputs.x }}",
        "cat <<EOF | tr -d '\\n'\n${{ inputs.x }}\nEOF",
        "cat <<'EOF' | tr -d '\\n'\n${{ inputs.x }}\nEOF",
        "cat > /dev/null <<EOF\nit's\nEOF\nprintf %s ${{ inputs.x }}",
        '(printf %s "${{ inputs.x }}")',
        "echo \\' >/dev/null; printf %s ${{ inputs.x }}",
    ],
)
def test_the_shell_reads_what_was_put_in(template: str) -> None:
    command = render(template, {"x": NASTY}, {})
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
    assert done.stdout == NASTY


@given(value=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=20))
@settings(max_examples=25, deadline=None)
def test_any_text_comes_through_in_any_quotes(value: str) -> None:
    template = "printf '%s|' ${{ inputs.x }} \"${{ inputs.x }}\" '${{ inputs.x }}'"
    command = render(template, {"x": value}, {})
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=True)
    assert done.stdout.decode() == f"{value}|" * 3


def test_a_list_becomes_several_words() -> None:
    assert render("cat ${{ inputs.x }}", {"x": ["a b", "c"]}, {}) == "cat 'a b' c"


def test_a_value_is_not_looked_into_again() -> None:
    command = render("a ${{ inputs.x }} ${{outputs.y}}", {"x": "${{ outputs.y }}"}, {"y": "z"})
    assert command == "a '${{ outputs.y }}' z"


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(KeyError, match="y"):
        render("a ${{ inputs.y }}", {"x": "1"}, {})


def test_outputs_that_the_command_names_are_found() -> None:
    assert mentioned_outputs("a > ${{ outputs.x }} ${{outputs.y-z}} $outputs.w") == {"x", "y-z"}
