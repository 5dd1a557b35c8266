"""Arrows point down only, one place commits, one place reads the clock, and nothing grows too big.

    entry points    __init__ cli worker demo demo_names doctor message_rendering
      views/        HTTP in, HTTP out; read storage, never write it
        domain/     the rules: no Flask, no SQL, no commit
          storage/  tables, queries, transaction(): the only commit
            leaves  import leaves only

A file imports from its own row and from those below, and no two files import each other, however far round. Each
function returns what breaks one rule.
"""

import ast
from collections.abc import Iterator

from tests.rules.sources import Function, Source, dotted, imported_names

LEAVES, STORAGE, DOMAIN, VIEWS, ENTRY_POINTS = range(5)
PACKAGES = {"storage": STORAGE, "domain": DOMAIN, "views": VIEWS}
ENTRY_FILES = {"cli", "demo", "demo_names", "doctor", "message_rendering", "worker"}
LEAF_FILES = {
    "clock",
    "config",
    "errors",
    "i18n",
    "key_vault",
    "mail_failures",
    "mail_message",
    "mailer",
    "markdown",
    "metrics",
    "moments",
    "pdf_page",
    "poster_file",
    "qr_tables",
    "site",
    "smtp_transport",
    "text_input",
    "ticket_code",
    "ticket_files",
}
# `limits` asks its storage how much is left, and gives it no moment to judge by.
READS_THE_CLOCK_IN_STORAGE = {"meetup.storage.limit_counters"}
CLOCK_CALLS = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
WEB_PACKAGES = {"flask", "werkzeug", "jinja2", "markupsafe", "wtforms", "itsdangerous"}
LONGEST_FILE = 300
LONGEST_FUNCTION = 40
# What makes a storage function a write: it calls one of these, or another function that does.
WRITING_NAMES = {"changed_rows", "insert_rows", "insert_or_ignore", "insert", "update", "delete"}
WRITING_METHODS = {"add", "add_all", "delete", "flush", "merge", "begin_nested"}


def layer_of(module: str) -> int:
    """Return the row of a module of ours in the picture; KeyError for one that has no place in it."""
    parts = module.split(".")
    if len(parts) == 1 or parts[1] in ENTRY_FILES:
        return ENTRY_POINTS
    return LEAVES if parts[1] in LEAF_FILES else PACKAGES[parts[1]]


def arrows(sources: list[Source]) -> Iterator[tuple[str, str]]:
    """Yield (importing module, imported module) within the application."""
    known = {source.module for source in sources}
    for source in sources:
        for name, _called in imported_names(source):
            target = name if name in known else name.rpartition(".")[0]
            if name.split(".")[0] == "meetup" and target != source.module:
                yield source.module, target


def homeless(sources: list[Source]) -> list[str]:
    """Return the modules that the picture does not show."""
    known = {"meetup"} | {f"meetup.{name}" for name in (*ENTRY_FILES, *LEAF_FILES, *PACKAGES)}
    return [source.module for source in sources if ".".join(source.module.split(".")[:2]) not in known]


def uphill_imports(sources: list[Source]) -> list[str]:
    """Return the imports that point upwards."""
    return [f"{upper} -> {lower}" for upper, lower in arrows(sources) if layer_of(upper) < layer_of(lower)]


def import_cycles(sources: list[Source]) -> list[str]:
    """Return the modules that import themselves by way of others."""
    below: dict[str, set[str]] = {}
    for upper, lower in arrows(sources):
        below.setdefault(upper, set()).add(lower)
    cycles = []
    for start in sorted(below):
        reached: set[str] = set()
        waiting = [start]
        while waiting:
            fresh = below.get(waiting.pop(), set()) - reached
            reached |= fresh
            waiting += fresh
        if start in reached:
            cycles.append(start)
    return cycles


def web_in_domain(sources: list[Source]) -> list[str]:
    """Return what the domain imports of the web, or of SQL beyond the session that is passed through."""
    found = []
    for source in sources:
        for name, _called in imported_names(source):
            package = name.split(".")[0]
            is_web = package in WEB_PACKAGES or package.startswith("flask_")
            is_sql = package == "sqlalchemy" and name != "sqlalchemy.orm.Session"
            if layer_of(source.module) == DOMAIN and (is_web or is_sql):
                found.append(f"{source.module} imports {name}")
    return found


def stray_commits(sources: list[Source]) -> list[str]:
    """Return the calls of commit() outside transaction(), and of rollback() in the domain."""
    return [
        f"{source.module}:{call.lineno}"
        for source in sources
        for call in source.calls
        if isinstance(call.func, ast.Attribute)
        and (
            (call.func.attr == "commit" and source.module != "meetup.storage.db")
            or (call.func.attr == "rollback" and layer_of(source.module) == DOMAIN)
        )
    ]


def stray_clocks(sources: list[Source]) -> list[str]:
    """Return where a clock is read that must not be: by domain and storage at all, by anybody but clock.py itself."""
    found = []
    for source in sources:
        is_inner = layer_of(source.module) in (DOMAIN, STORAGE) and source.module not in READS_THE_CLOCK_IN_STORAGE
        if is_inner and any(name == "meetup.clock.utc_now" for name, _called in imported_names(source)):
            found.append(f"{source.module} imports utc_now")
        for call in source.calls:
            name = ".".join(dotted(call.func).split(".")[-2:])
            is_everyones = name.startswith("time.") and not is_inner
            if name in CLOCK_CALLS and not is_everyones and source.module != "meetup.clock":
                found.append(f"{source.module}:{call.lineno} {name}")
    return found


def storage_writes(sources: list[Source]) -> set[str]:
    """Return the full names of the storage functions that write or lock, themselves or through others."""
    called: dict[str, set[str]] = {}
    writes: set[str] = set()
    for source in sources:
        for node in source.tree.body:
            if layer_of(source.module) == STORAGE and isinstance(node, ast.FunctionDef):
                name = f"{source.module}.{node.name}"
                called[name] = _called_in(node, source)
                if _is_writing(node):
                    writes.add(name)
    while fresh := {name for name in called if called[name] & writes} - writes:
        writes |= fresh
    return writes


def _called_in(function: ast.FunctionDef, source: Source) -> set[str]:
    names = {called: full for full, called in imported_names(source)}
    chains = [dotted(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)]
    return {_full_name(chain, names, source.module) for chain in chains}


def _full_name(chain: str, names: dict[str, str], module: str) -> str:
    head, dot, rest = chain.partition(".")
    return f"{names[head]}{dot}{rest}" if head in names else f"{module}.{chain}"


def _is_writing(function: ast.FunctionDef) -> bool:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    locks = any(word.arg == "with_for_update" for call in calls for word in call.keywords)
    names = any(isinstance(call.func, ast.Name) and call.func.id in WRITING_NAMES for call in calls)
    return locks or names or any(_is_session_write(call) or _is_prepared_write(call) for call in calls)


def _is_session_write(call: ast.Call) -> bool:
    receiver, _dot, method = dotted(call.func).rpartition(".")
    return method in WRITING_METHODS and receiver.split(".")[-1] in ("session", "connection")


def _is_prepared_write(call: ast.Call) -> bool:
    """Tell whether this carries out a prepared writing statement, which is a module's own: `_settle.run(…)`."""
    receiver, _dot, method = dotted(call.func).rpartition(".")
    return method in ("run", "run_exactly", "send_all") and receiver.startswith("_") and "." not in receiver


def writes_by_views(sources: list[Source], writes: set[str]) -> list[str]:
    """Return the calls by which a view writes storage itself, past the domain."""
    found = []
    for source in sources:
        if layer_of(source.module) != VIEWS:
            continue
        names = {called: full for full, called in imported_names(source)}
        for call in source.calls:
            name = _full_name(dotted(call.func), names, source.module)
            is_statement = name.removeprefix("sqlalchemy.") in ("insert", "update", "delete")
            if name in writes or is_statement or _is_session_write(call):
                found.append(f"{source.module}:{call.lineno} {dotted(call.func)}")
    return found


def too_long(sources: list[Source]) -> list[str]:
    """Return the files and functions that are longer than the house allows."""
    files = [source.module for source in sources if len(source.text.splitlines()) > LONGEST_FILE]
    return files + [
        f"{source.module}.{function.name}"
        for source in sources
        for function in source.functions
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST_FUNCTION
    ]


def unhinted(sources: list[Source]) -> list[str]:
    """Return the functions of which an argument or the answer has no type."""
    return [
        f"{source.module}.{function.name}"
        for source in sources
        for function in source.functions
        if function.returns is None or any(not each.annotation for each in _arguments(function))
    ]


def _arguments(function: Function) -> list[ast.arg]:
    named = function.args
    every = [*named.posonlyargs, *named.args, *named.kwonlyargs]
    every += [each for each in (named.vararg, named.kwarg) if each is not None]
    return [each for each in every if each.arg not in ("self", "cls")]


def undescribed(sources: list[Source]) -> list[str]:
    """Return the public functions, classes and modules of domain and storage that do not say what they do."""
    found = []
    for source in sources:
        if layer_of(source.module) not in (DOMAIN, STORAGE):
            continue
        if not ast.get_docstring(source.tree):
            found.append(source.module)
        for node in source.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                is_public = not node.name.startswith("_")
                if is_public and not ast.get_docstring(node):
                    found.append(f"{source.module}.{node.name}")
    return found
