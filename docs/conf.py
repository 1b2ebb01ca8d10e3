"""How Sphinx builds the documentation; `make docs`."""

import re

from docutils import nodes
from sphinx.errors import ConfigError

try:
    import myst_parser  # noqa: F401
    from latex2mathml.converter import convert
except ModuleNotFoundError as problem:
    message = f"The documentation needs the package {problem.name}: install it with pip install 'fcsym[docs]'."
    raise ConfigError(message) from None

import fcsym

project = "fcsym"
author = "the fcsym authors"
release = version = fcsym.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["dollarmath"]
html_theme = "alabaster"
html_theme_options = {"description": fcsym.__doc__.splitlines()[0].split(": ", 1)[1]}
html_show_copyright = False
html_math_renderer = "mathml"  # as on fcsym's own pages: no script, no request
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
_WORD = re.compile(r"`([^`]+)`|([\\*_|])")


def _as_rst(app, what, name, obj, options, lines):
    """A docstring is plain text with `code`, examples and indented blocks; no other mark in it means anything."""
    result, literal = [], ""
    for line in lines:
        if not line.strip():
            literal = "" if literal == "example" else literal
        elif line.startswith(">>>"):
            literal = "example"
        elif line.startswith("    ") and not literal and result and not result[-1]:
            literal = "block"
            result += [".. code-block:: text", ""]
        elif literal == "block" and not line.startswith(" "):
            literal = ""
        result.append(line if literal else _WORD.sub(lambda m: f"``{m[1]}``" if m[1] else "\\" + m[2], line))
    lines[:] = result


def _inline(writer, node):
    writer.body.append(convert(node.astext()))
    raise nodes.SkipNode


def _block(writer, node):
    writer.body.append(f"<div>{convert(node.astext(), display='block')}</div>")
    raise nodes.SkipNode


def setup(app):
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", _as_rst)
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
