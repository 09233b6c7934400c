"""A constitution as one HTML page that needs nothing but itself; every clause has its anchor.

The texts are what others wrote: the template escapes all of them, Markdown in them is shown as it
is written, and the page's content policy runs no script and loads nothing.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from charter.constitution.clauses import Constitution

_PAGES = Environment(
    loader=PackageLoader("charter.constitution.formats"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def write(document: Constitution) -> str:
    """The whole page. The same document gives the same text."""
    halves = {
        "Harmful categories": document.categories.harmful,
        "Harmless categories": document.categories.harmless,
    }
    titles = {p.id: p.title for p in document.principles}
    return _PAGES.get_template("constitution.html").render(d=document, halves=halves, titles=titles)
