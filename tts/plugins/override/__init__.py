"""OverRIDE: every sample of a problem is held off what the one before it tends to write.

The files here know no engine: `heads` holds the mathematics, `core` what an engine calls. The fusion is ESamp's
(`tts.plugins.esamp.fusion`), q being the reference's logits with a head's on top.
"""
