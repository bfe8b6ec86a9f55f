"""Charts that JupyterLab draws itself, so that Chinese needs no font in Python."""

from base64 import b64encode
from typing import Any

# Of the versions that vl-convert has, the nearest to the Vega-Lite 5.6 in JupyterLab 4.6.
VEGALITE_VERSION = "5.8"


def show_chart(spec: dict[str, Any], alt: str) -> None:
    """Show a Vega-Lite 5 chart in a notebook.

    JupyterLab draws `spec` itself, offline; a code host shows the PNG; where neither can be
    shown, there is the text `alt`. Only the PNG needs a Chinese font on the machine that runs
    this. Spec: https://vega.github.io/vega-lite/docs/spec.html
    """
    from IPython.display import display
    from vl_convert import vegalite_to_png

    png = vegalite_to_png(spec, vl_version=VEGALITE_VERSION)
    display(
        {
            "application/vnd.vegalite.v5+json": spec,
            # Without a PNG, JupyterLab adds one of its own: to open a notebook would change it.
            "image/png": b64encode(png).decode(),
            "text/plain": alt,
        },
        raw=True,
    )
