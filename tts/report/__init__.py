"""Reports: what a benchmark found, as data, tables, plots and a page."""
