"""Settings of the site: sphinx-build reads this. What is made at build time is in ``_pages.py``."""

import sys
from pathlib import Path

import matplotlib

sys.path.insert(0, str(Path(__file__).parent))
import _pages  # beside this file

import sklatent

matplotlib.use("Agg")

project = "sklatent"
author = "The sklatent developers"
project_copyright = author
version = release = sklatent.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
]
exclude_patterns = ["gallery/*.ipynb", "gallery/*.py"]
templates_path = ["_templates"]
smartquotes = False
highlight_language = "text"  # a block without a language is what was printed
suppress_warnings = ["config.cache"]  # functions below are settings, and cannot be pickled

myst_heading_anchors = 3
autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False  # the template of a class does
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # words that are not named here, or by numpydoc itself
numpydoc_xref_aliases = {
    "RandomState": "numpy.random.RandomState",
    "skorch.NeuralNet": "skorch.net.NeuralNet",
    "Axes": "matplotlib.axes.Axes",
    "Figure": "matplotlib.figure.Figure",
}
copybutton_prompt_text = ">>> "

# Inventories from the network where there is one, else the few names in inventories.txt.
intersphinx_mapping = _pages.inventories()
intersphinx_timeout = 5

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": _pages.SLOW,
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gallery/used",
    "doc_module": ("sklatent",),
    "matplotlib_animations": False,
    "show_signature": False,
    "write_computation_times": False,
    "parallel": 2,
    "thumbnail_size": (480, 260),
    "min_reported_time": 1,
    "capture_repr": ("__repr__",),
    "download_all_examples": False,
    "remove_config_comments": True,
}

html_theme = "pydata_sphinx_theme"
html_title = f"sklatent {version}"
html_baseurl = _pages.SITE
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_use_index = False
html_math_renderer = "mathml"
html_theme_options = {
    "github_url": _pages.REPOSITORY,
    "header_links_before_dropdown": 5,
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_version_warning_banner": False,
}
html_sidebars = {"index": [], "changes/index": []}

_pages.write()


def setup(app):
    app.add_html_math_renderer("mathml", *_pages.MATHML)
    app.connect("source-read", _pages.links_on_site)
    app.connect("autodoc-skip-member", _pages.skip)
