"""The same work without a browser: `python -m mtl_core COMMAND`."""
