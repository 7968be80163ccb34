"""The report: tables, plots, the HTML page."""
