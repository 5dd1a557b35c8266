"""Organisers' texts: Markdown to HTML that cannot do harm."""

from markdown_it import MarkdownIt

# No HTML of the writer's own, no pictures (a picture elsewhere would tell another site who reads), and links
# only to what markdown-it holds for harmless: it drops javascript:, vbscript:, file: and data:.
_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable("image")


def to_html(text: str) -> str:
    """Return a Markdown text as HTML that is safe to show."""
    rendered: str = _markdown.render(text)
    return rendered
