"""Charts that a browser draws, so that Chinese needs no font in Python."""

from typing import Any

# Of the versions that vl-convert has, the nearest to the Vega-Lite 5.6 in JupyterLab 4.6.
VEGALITE_VERSION = "5.8"


def show_chart(spec: dict[str, Any], alt: str) -> None:
    """Show a Vega-Lite 5 chart in a notebook.

    JupyterLab draws `spec` itself, offline; a code host shows the SVG; where neither can be
    shown, there is the text `alt`. Spec: https://vega.github.io/vega-lite/docs/spec.html
    """
    from IPython.display import display
    from vl_convert import vegalite_to_svg

    display(
        {
            "application/vnd.vegalite.v5+json": spec,
            "image/svg+xml": vegalite_to_svg(spec, vl_version=VEGALITE_VERSION),
            "text/plain": alt,
        },
        raw=True,
    )
