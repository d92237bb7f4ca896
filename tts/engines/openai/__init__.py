"""The engine that asks a server: any that speaks OpenAI's protocol, and vLLM's own with what that can besides.

`keys` are what a recipe says, `bodies` what is sent, `client` how, `events` and `answer` what comes back, `probes` what
the server can do, `session` all requests on their way; `engine` is what the pipeline sees.
"""

from tts.engines.openai.engine import OpenAIEngine

__all__ = ["OpenAIEngine"]
