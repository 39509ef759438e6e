"""What the site needs beside MkDocs: formulas as MathML, and links to files outside ``docs``."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert

ROOT = Path(__file__).resolve().parents[1]

BORROWED = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "benchmarks/peers.md": "peers.md",
    "docs/notebooks/algorithms.ipynb": "notebook-algorithms.md",
    "docs/notebooks/convert.ipynb": "notebook-convert.md",
    "simulations/results/README.md": "runs.md",
}
"""Pages that lie elsewhere in the repository, and what they are called on the site."""

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]+)\]\((?P<to>[^)\s#]*)(?P<anchor>#[^)\s]*)?\)")
_SHOWN = (".png", ".json")
"""Files that are copied beside the page that links to them."""


def on_config(config: Any) -> Any:
    """Let blocks of ``math`` be formulas."""
    fence = {"name": "math", "class": "math", "format": formula}
    options = config.mdx_configs.setdefault("pymdownx.superfences", {})
    options.setdefault("custom_fences", []).append(fence)
    return config


def on_files(files: Any, config: Any) -> Any:
    """Add the borrowed pages, and what they and others link to."""
    from mkdocs.structure.files import File

    for path, name in BORROWED.items():
        content = (ROOT / path).read_text(encoding="utf-8")
        content = _of_notebook(path, content) if path.endswith(".ipynb") else content
        files.append(File.generated(config, name, content=content))
    pages = [(page, page.content_string) for page in list(files) if page.is_documentation_page()]
    for page, content in pages:
        for link in _LINK.finditer(content):
            path = _path(page.src_uri, link["to"])
            if path.endswith(_SHOWN) and (ROOT / path).is_file():
                copy = File.generated(config, _copy(path), abs_src_path=str(ROOT / path))
                if files.get_file_from_path(copy.src_uri) is None:
                    files.append(copy)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links to files of the repository into links within the site, or into plain names."""
    source = page.file.src_uri

    def link(match: re.Match[str]) -> str:
        to = match["to"]
        if not to or "://" in to or to.startswith("mailto:"):
            return match[0]
        path, anchor = _path(source, to), match["anchor"] or ""
        if path in BORROWED:
            return f"{match['image']}[{match['text']}]({BORROWED[path]}{anchor})"
        if path.startswith("docs/") and not path.endswith(_SHOWN):
            return f"{match['image']}[{match['text']}]({path.removeprefix('docs/')}{anchor})"
        if path.endswith(_SHOWN):
            return f"{match['image']}[{match['text']}]({_copy(path)})"
        return match["text"] if match["text"].startswith("`") else f"{match['text']} (`{path}`)"

    return _LINK.sub(link, _without_markers(markdown))


def formula(source: str, *_: Any, **__: Any) -> str:
    """Return a block of LaTeX as MathML, which browsers draw by themselves."""
    return f'<p class="math">{convert(source.strip(), display="block")}</p>'


def _of_notebook(path: str, content: str) -> str:
    """Return a notebook's cells as a page."""
    parts = []
    for cell in json.loads(content)["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.insert(1, f"The notebook is `{path}` in the repository; the tests run it.")
    return "\n\n".join(parts)


def _path(source: str, to: str) -> str:
    """Return the path from the repository's root that a link on a page leads to."""
    home = {name: path for path, name in BORROWED.items()}.get(source, f"docs/{source}")
    return posixpath.normpath(posixpath.join(posixpath.dirname(home), to))


def _copy(path: str) -> str:
    return f"files/{path}"


def _without_markers(markdown: str) -> str:
    """Leave out the comments between which tables and figures are rendered."""
    return re.sub(r"<!-- (?:table|figure): [^>]*-->\n?|<!-- end -->", "", markdown)
