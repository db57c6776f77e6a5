"""Sphinx's settings, for both languages: ``MSTL_LANG=zh sphinx-build -c docs docs/zh build/docs/zh``."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import mstl  # noqa: E402

project = "mstl"
author = "The mstl developers"
copyright = "2026, the mstl developers"
release = version = mstl.__version__
chinese = os.environ.get("MSTL_LANG", "").startswith("zh")
language = "zh_CN" if chinese else "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docs.command_reference",
    "docs.chinese_search",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
napoleon_attr_annotations = False
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = "mstl"
html_static_path = ["_static"]
html_css_files = ["mstl.css"]
html_js_files = []
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "language.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
    ]
}
html_context = {"other": ("English", "en") if chinese else ("中文", "zh")}
html_show_search_summary = False  # would be fetched, which a browser does not do from files
html_copy_source = False
html_show_sourcelink = False
