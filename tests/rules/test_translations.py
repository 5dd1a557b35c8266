"""Every sentence has its French, with the same blanks to fill in, and every code of an error has its words."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_keywords
from babel.messages.pofile import read_po

from meetup.domain.schedule import Doors, Window
from meetup.views.error_words import FIELD_ERRORS, REFUSALS
from tests.rules.sources import ROOT, Function, Source, dotted, parse, read_sources, strings_in

FRENCH = ROOT / "meetup" / "translations" / "fr" / "LC_MESSAGES" / "messages.po"
FRENCH_FORMS = 2
BLANK = re.compile(r"%\((\w+)\)[sd]")
# Which argument of a refusal is its code, where it is not the first; TooMany and Busy take none.
CODE_PLACES = {"Invalid": 1, "TooMany": 1}
# Where the words of a field's error begin: a rule, a form's shape, or a view that knows the sentence.
FIELD_CODE_CALLS = {"ValueError", "ValidationError", "WholeNumberField", "_at_most", "field_words"}
SOURCES = read_sources()
# These are not written out where they are raised: why registration is shut, and a refusal shown beside its field.
COMPUTED_CODES = {window.value for window in Window if window is not Window.OPEN}
COMPUTED_CODES |= {state.value for state in Doors if state is not Doors.OPEN}
COMPUTED_FIELD_CODES = {"slug_taken"}
CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")

Identity = str | tuple[str, ...]
Texts = str | tuple[str, ...] | list[str] | None


@pytest.fixture(scope="module")
def french() -> Catalog:
    with FRENCH.open("rb") as file:
        return read_po(file, locale="fr", abort_invalid=True)


@pytest.fixture(scope="module")
def sentences() -> set[Identity]:
    """Return what `make translations` finds, by the same settings."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["babel"]
    methods = [(each["pattern"], each["method"]) for each in settings["mappings"]]
    words = re.findall(r"--keyword (\S+)", (ROOT / "Makefile").read_text())
    return set(extracted(ROOT, methods, words))


def extracted(folder: Path, methods: list[tuple[str, str]], words: list[str]) -> Iterator[Identity]:
    keywords = DEFAULT_KEYWORDS | parse_keywords(words)
    for top in {pattern.partition("/")[0] for pattern, _method in methods}:
        inner = [(pattern.partition("/")[2], method) for pattern, method in methods if pattern.startswith(f"{top}/")]
        for _file, _line, message, _comments, _context in extract_from_dir(folder / top, inner, keywords=keywords):
            yield message


def translated(message: Message) -> list[str]:
    """Return every French form of a message."""
    return list(_texts(message.string))


def singular(identity: Texts) -> str:
    return _texts(identity)[0]


def wrong_translations(catalog: Catalog, sentences: set[Identity]) -> list[str]:
    """Return what is missing, empty, unsure, left over, or has other blanks than the English sentence."""
    found = []
    for identity in sorted(sentences, key=singular):
        message = catalog.get(identity)
        if message is None or not all(translated(message)):
            found.append(f"missing: {singular(identity)}")
        elif not has_same_blanks(message):
            found.append(f"other blanks: {singular(identity)}")
    known = {singular(identity) for identity in sentences}
    for message in catalog:
        if message.id and message.fuzzy:
            found.append(f"unsure: {singular(message.id)}")
        if message.id and singular(message.id) not in known:
            found.append(f"left over: {singular(message.id)}")
    return found + [f"left over: {singular(identity)}" for identity in catalog.obsolete]


def has_same_blanks(message: Message) -> bool:
    """Tell whether the French fills in what the English does; a singular may also leave its number in words."""
    wanted = {name for text in _texts(message.id) for name in BLANK.findall(text)}
    forms = [set(BLANK.findall(form)) for form in translated(message)]
    if isinstance(message.id, str):
        return forms == [wanted]
    return len(forms) == FRENCH_FORMS and forms[-1] == wanted and wanted - forms[0] <= {"num", "count"}


def _texts(texts: Texts) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else tuple(texts or ())


def test_every_sentence_has_its_french(french: Catalog, sentences: set[Identity]) -> None:
    assert len(sentences) > 400
    assert wrong_translations(french, sentences) == []


def test_wrong_translations_are_seen() -> None:
    catalog = Catalog(locale="fr")
    catalog.add("Seats for %(name)s", "Places pour %(nom)s")
    catalog.add("Cancel", "")
    catalog.add("Open", "Ouvrir", flags=["fuzzy"])
    catalog.add("Never said", "Jamais dit")
    catalog.add(("One seat", "%(num)s seats"), ("Une place", "Des places"))
    catalog.add(("Admits one", "Admits %(num)s"), ("Pour une personne", "Pour %(num)s personnes"))
    sentences: set[Identity] = {
        "Seats for %(name)s",
        "Cancel",
        "Open",
        "Not there",
        ("One seat", "%(num)s seats"),
        ("Admits one", "Admits %(num)s"),
    }

    assert wrong_translations(catalog, sentences) == [
        "missing: Cancel",
        "missing: Not there",
        "other blanks: One seat",
        "other blanks: Seats for %(name)s",
        "unsure: Open",
        "left over: Never said",
    ]


def raised_codes(sources: list[Source]) -> set[str]:
    """Return every code that a refusal is raised with: given to it, its class's own, or from the table of HTTP."""
    own = class_codes(sources)
    codes: set[str] = set()
    for source in sources:
        for node in ast.walk(source.tree):
            if isinstance(node, ast.Call):
                kind = dotted(node.func).rpartition(".")[2]
                place = CODE_PLACES.get(kind, 0)
                if kind in own and len(node.args) > place:
                    codes |= set(_codes_in(node.args[place]))
                elif kind in own:
                    codes.add(own[kind])
            elif isinstance(node, ast.Raise) and node.exc and (kind := dotted(node.exc).rpartition(".")[2]) in own:
                codes.add(own[kind])
            elif isinstance(node, ast.Assign) and dotted(node.targets[0]) == "HTTP_CODES":
                codes |= set(_codes_in(node.value))
        codes |= {code for function in source.functions for code in _chosen_codes(function)}
    return codes


def _chosen_codes(function: Function) -> Iterator[str]:
    """Yield the codes that a function chooses between before it raises one."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and dotted(node.targets[0]) == "code":
            yield from _codes_in(node.value)


def class_codes(sources: list[Source]) -> dict[str, str]:
    """Return the code of each class of refusals."""
    return {
        node.name: code
        for source in sources
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef)
        for line in node.body
        if isinstance(line, ast.Assign) and dotted(line.targets[0]) == "code"
        for code in _codes_in(line.value)
    }


def _codes_in(node: ast.expr) -> Iterator[str]:
    """Yield the texts that an expression may come to; of a choice the two answers, not the question."""
    if isinstance(node, ast.IfExp):
        yield from (*_codes_in(node.body), *_codes_in(node.orelse))
    elif isinstance(node, ast.Constant | ast.Dict):
        yield from strings_in(node)


def field_codes(sources: list[Source]) -> set[str]:
    """Return every code that stands for what is wrong with a field."""
    codes: set[str] = set()
    for source in sources:
        for node in ast.walk(source.tree):
            codes |= {code for code in _field_codes(node) if CODE.fullmatch(code)}
    return codes


def _field_codes(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Call):
        kind = dotted(node.func).rpartition(".")[2]
        if kind in FIELD_CODE_CALLS:
            yield from (code for argument in node.args for code in _codes_in(argument))
        if kind == "Invalid" and isinstance(node.args[0], ast.Dict):
            yield from _listed(node.args[0].values)
    elif isinstance(node, ast.Assign) and dotted(node.targets[0]) == "problems":
        assert isinstance(node.value, ast.Dict)
        yield from (next(strings_in(value)) for value in node.value.values)
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
        if dotted(node.targets[0].value) == "errors":
            yield from _listed([node.value])
    elif isinstance(node, ast.FunctionDef):
        arguments = node.args.args[len(node.args.args) - len(node.args.defaults) :]
        named = [value for name, value in zip(arguments, node.args.defaults, strict=True) if name.arg == "code"]
        yield from (code for value in named for code in _codes_in(value))


def _listed(values: list[ast.expr]) -> Iterator[str]:
    for value in values:
        if isinstance(value, ast.List):
            for each in value.elts:
                yield from _codes_in(each)


def test_every_refusal_has_its_words_and_no_words_are_idle() -> None:
    raised = raised_codes(SOURCES) | COMPUTED_CODES

    assert sorted(raised - set(REFUSALS)) == []
    assert sorted(set(REFUSALS) - raised - set(class_codes(SOURCES).values())) == []


def test_every_error_of_a_field_has_its_words_and_no_words_are_idle() -> None:
    assert sorted(field_codes(SOURCES) | COMPUTED_FIELD_CODES) == sorted(FIELD_ERRORS)


def test_codes_are_found_wherever_they_are_raised() -> None:
    source = parse(
        "planted",
        """
class Lost(Refusal):
    code = "lost"

class Gone(Refusal):
    code = "never raised"

class Conflict(Refusal):
    code = "never raised either"

class Invalid(Refusal):
    code = "invalid"

HTTP_CODES = {418: "teapot"}
raise Lost
raise Conflict("late" if name == "early" else "later")
raise Invalid({"name": ["bad_name"], "guests": ["bad_guests" if guests else "none_left"]}, "mismatch")
raise errors.Gone("away")
errors["email"] = ["bad_email"]
problems = {"title": ("bad_title", len(title) > 3)}
raise ValidationError("bad_shape")
def check(length: int, code: str = "too_long") -> None: ...
""",
    )

    assert raised_codes([source]) == {"lost", "teapot", "late", "later", "mismatch", "away"}
    assert field_codes([source]) == {
        "bad_name",
        "bad_guests",
        "none_left",
        "bad_email",
        "bad_title",
        "bad_shape",
        "too_long",
    }
