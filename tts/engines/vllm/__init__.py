"""The production engine: vLLM in this process or beside it, on GPUs and CPUs, and the plugins that run inside it.

Nothing of vLLM's is patched or copied: a worker class of ours (`worker`) puts a mix-in in front of its runner's class.
What the mix-ins do is in `worker_plugin`, which knows neither runner; `runner_v1` and `runner_v2` speak to vLLM's two.
"""

from tts.engines.vllm.engine import VLLMEngine

__all__ = ["VLLMEngine"]
