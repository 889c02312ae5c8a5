"""EXPORTS: recorded data → files in open formats, page by page, as jobs."""
