"""Contrastive decoding: away from what a smaller model of the same family would write.

The files here know no engine; the fusion is ESamp's (`tts.plugins.esamp.fusion`), q being the amateur's logits.
"""
