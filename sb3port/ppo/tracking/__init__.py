"""Where a training can be watched with other tools. A new one is a file here, and a row in `table.py`."""
