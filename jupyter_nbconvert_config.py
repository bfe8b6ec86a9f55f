"""How the chapters' outputs are stored; installed into the environment by pyproject.toml."""

import os

c = get_config()  # noqa: F821

c.ExecutePreprocessor.record_timing = False
c.ExecutePreprocessor.coalesce_streams = True
c.ExecutePreprocessor.store_widget_state = False
# For the kernel: what stands for a widget where no kernel runs, in place of its view.
os.environ["LESSON_WIDGETS"] = "static"
