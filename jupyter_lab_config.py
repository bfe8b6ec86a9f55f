# Installed with the package into etc/jupyter, where JupyterLab looks for it (pyproject.toml).
c = get_config()  # noqa: F821

c.LabApp.default_url = "/lab/tree/notebooks/01_models.ipynb"
c.ServerApp.ip = "127.0.0.1"  # this machine only; the token stays on
c.ServerApp.allow_root = True  # containers run as root
