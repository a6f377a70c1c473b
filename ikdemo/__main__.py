"""``python -m ikdemo``: the command line program ``ikdemo``."""

from __future__ import annotations

import sys

from ikdemo.cli.main import ikdemo

sys.exit(ikdemo())
