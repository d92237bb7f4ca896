"""Recipes behind an OpenAI-compatible URL: handlers that any ASGI server can run, and the runs behind them."""
