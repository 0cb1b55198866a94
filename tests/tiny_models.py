"""Tiny models of exactly the classes that the paper's encoders have, with random weights, in files
of the same names and forms as those that are published; and the hub's protocol to serve them by.
"""

import hashlib
import io
import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

SENTENCES = [
    "The horse eats grass beside the river.",
    "Das Pferd frißt Gras neben dem Fluß.",
    "Stars and planets shine in the night sky.",
    "Sterne und Planeten leuchten am Himmel.",
] * 3
MODULES = "sentence_transformers.models"

PAPER = {
    "sentence-transformers/clip-ViT-B-32": "clip",
    "sentence-transformers/clip-ViT-B-32-multilingual-v1": "distilbert",
    "sentence-transformers/paraphrase-multilingual-mpnet-base-v2": "xlm-roberta",
    "sentence-transformers/all-mpnet-base-v2": "mpnet",
    "T-Systems-onsite/german-roberta-sentence-transformer-v2": "pieces",
}
"""The hub names of the paper's encoders (Appendix), and the architecture of each."""


def save(name, folder):
    """Write the tiny counterpart of one of the paper's encoders."""
    import torch

    folder = Path(folder)
    folder.mkdir(parents=True)
    torch.manual_seed(int(hashlib.sha256(name.encode()).hexdigest()[:6], 16))
    if PAPER[name] == "clip":
        return _clip(folder)
    if PAPER[name] == "pieces":
        return _german(folder)
    size = _text_transformer(PAPER[name], folder)
    modules = ["Transformer", "Pooling"]
    pooling = {"word_embedding_dimension": size, "pooling_mode_mean_tokens": True}
    _json(folder / "1_Pooling/config.json", pooling)
    if PAPER[name] == "distilbert":
        modules.append("Dense")
        _dense(folder / "2_Dense", size, 24)
    if PAPER[name] == "mpnet":
        modules.append("Normalize")
        (folder / "2_Normalize").mkdir()
    longest = 384 if PAPER[name] == "mpnet" else 128
    _json(folder / "sentence_bert_config.json", {"max_seq_length": longest, "do_lower_case": False})
    _json(folder / "modules.json", _modules(modules))
    return folder


def _german(folder, size=32):
    """As it is published: pieces of sentences, weights in a ``.bin``, and no list of modules."""
    import sentencepiece
    import torch
    import transformers as t

    pieces = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_writer=pieces,
        vocab_size=45,
        minloglevel=2,
    )
    (folder / "sentencepiece.bpe.model").write_bytes(pieces.getvalue())
    config = t.XLMRobertaConfig(
        vocab_size=47,
        hidden_size=size,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=514,
        architectures=["XLMRobertaModel"],
    )
    _json(folder / "config.json", config.to_diff_dict() | {"model_type": "xlm-roberta"})
    torch.save(t.XLMRobertaModel(config).state_dict(), folder / "pytorch_model.bin")
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>"}
    tokens |= {"unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}
    _json(folder / "special_tokens_map.json", tokens)
    _json(folder / "tokenizer_config.json", tokens | {"model_max_length": 512})
    _json(folder / "sentence_bert_config.json", {"max_seq_length": 128})
    return folder


def _modules(kinds):
    return [
        {"idx": i, "name": str(i), "path": f"{i}_{kind}" if i else "", "type": f"{MODULES}.{kind}"}
        for i, kind in enumerate(kinds)
    ]


def _json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")


def _dense(folder, size, out):
    import torch

    activation = "torch.nn.modules.linear.Identity"
    about = {"in_features": size, "out_features": out, "bias": False}
    _json(folder / "config.json", about | {"activation_function": activation})
    torch.save({"linear.weight": torch.randn(out, size) / size**0.5}, folder / "pytorch_model.bin")


def _text_transformer(kind, folder, size=32):
    """A transformer with its tokenizer; the size of its vectors."""
    import transformers as t

    tokenizer = _tokenizer(kind)
    tokenizer.save_pretrained(folder)
    common = {"vocab_size": len(tokenizer), "hidden_size": size, "num_hidden_layers": 2}
    common |= {"num_attention_heads": 4, "intermediate_size": 48, "max_position_embeddings": 514}
    if kind == "distilbert":
        shape = {"dim": size, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}
        config = t.DistilBertConfig(vocab_size=len(tokenizer), **shape)
        t.DistilBertModel(config).save_pretrained(folder)
    elif kind == "mpnet":
        t.MPNetModel(t.MPNetConfig(**common)).save_pretrained(folder)
    else:
        t.XLMRobertaModel(t.XLMRobertaConfig(**common)).save_pretrained(folder)
    return size


def _tokenizer(kind):
    """As the real ones: pieces of sentences for XLM-RoBERTa, pieces of words for the others, of
    which MPNet's are in lower case.
    """
    import transformers as t
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    begin, pad, end, unknown, mask = {
        "xlm-roberta": ("<s>", "<pad>", "</s>", "<unk>", "<mask>"),
        "mpnet": ("<s>", "<pad>", "</s>", "[UNK]", "<mask>"),
        "distilbert": ("[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"),
    }[kind]
    ids = [begin, pad, end, unknown, mask]
    if kind == "distilbert":
        ids = [pad, unknown, begin, end, mask]
    options = {"special_tokens": ids, "show_progress": False}
    if kind == "xlm-roberta":
        inner = Tokenizer(models.Unigram())
        inner.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=200, unk_token=unknown, **options)
    else:
        inner = Tokenizer(models.WordPiece(unk_token=unknown))
        inner.normalizer = normalizers.BertNormalizer(lowercase=kind == "mpnet")
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=400, **options)
    inner.train_from_iterator(SENTENCES, trainer)
    ends = [(token, inner.token_to_id(token)) for token in (begin, end)]
    inner.post_processor = processors.TemplateProcessing(f"{begin} $A {end}", special_tokens=ends)
    tokens = {"cls_token": begin, "pad_token": pad, "sep_token": end, "mask_token": mask}
    tokens |= {"unk_token": unknown, "model_max_length": 512}
    return t.PreTrainedTokenizerFast(tokenizer_object=inner, **tokens)


def _clip(folder):
    import transformers as t
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    inner = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.train_from_iterator(
        SENTENCES,
        trainers.BpeTrainer(
            vocab_size=500,
            special_tokens=["<|startoftext|>", "<|endoftext|>"],
            end_of_word_suffix="</w>",
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    inside = folder / "0_CLIPModel"
    inside.mkdir()
    content = json.loads(inner.to_str())["model"]
    _json(inside / "vocab.json", content["vocab"])
    merges = "\n".join(" ".join(pair) for pair in content["merges"])
    (inside / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    tokenizer = t.CLIPTokenizer.from_pretrained(inside, model_max_length=77)
    tokenizer.save_pretrained(inside)
    (inside / "tokenizer.json").unlink(missing_ok=True)
    processor = {"feature_extractor_type": "CLIPFeatureExtractor", "size": 32, "crop_size": 32}
    processor |= dict.fromkeys(("do_center_crop", "do_normalize", "do_resize"), True)
    processor |= {"image_mean": [0.48, 0.46, 0.41], "image_std": [0.27, 0.26, 0.28], "resample": 3}
    _json(inside / "preprocessor_config.json", processor)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
    small |= {"intermediate_size": 48}
    ends = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
    config = t.CLIPConfig(
        text_config=small | ends | {"vocab_size": len(tokenizer), "max_position_embeddings": 77},
        vision_config=small | {"image_size": 32, "patch_size": 8},
        projection_dim=24,
    )
    t.CLIPModel(config).save_pretrained(inside)
    modules = [{"idx": 0, "name": "0", "path": "0_CLIPModel", "type": f"{MODULES}.CLIPModel"}]
    _json(folder / "modules.json", modules)
    return folder


class Hub:
    """What a server answers to the client of the model hub, for models in folders below a root."""

    commit = "0" * 39 + "1"

    def __init__(self, root):
        self.root, self.refused = Path(root), ""

    def names(self):
        """Those that are there, longer names first: one begins with another."""
        return sorted((n for n in PAPER if (self.root / n).is_dir()), key=len, reverse=True)

    def answer(self, path):
        """(status, headers, body) for a path; None if it is not one of a model."""
        path = unquote(urlsplit(path).path).lstrip("/")
        if path.startswith(("datasets/", "api/datasets/")):
            return None
        for name in self.names():
            if path.startswith(f"api/models/{name}"):
                return self._about(name, path.removeprefix(f"api/models/{name}"))
            if path.startswith(f"{name}/resolve/"):
                revision, _, file = path.removeprefix(f"{name}/resolve/").partition("/")
                return self._file(name, file, self._commit(revision))
        if path.startswith("api/models/") or "/resolve/" in path:
            return 404, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "no such model"}, b""
        return None

    def _commit(self, text):
        """The commit that is asked for; of a branch, the newest."""
        found = re.search("[0-9a-f]{40}", text)
        return found[0] if found else self.commit

    def _files(self, name):
        folder = self.root / name
        return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())

    def _about(self, name, rest):
        if rest.startswith("/tree/"):
            below = rest.split("/", 3)[3] if rest.count("/") > 2 else ""
            entries = [
                {
                    "type": "file",
                    "path": file,
                    "size": (self.root / name / file).stat().st_size,
                    "oid": self._tag(self.root / name / file),
                }
                for file in self._files(name)
                if file.startswith(below)
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(entries).encode()
        about = {
            "_id": "1",
            "id": name,
            "modelId": name,
            "sha": self._commit(rest),
            "private": False,
        }
        about |= {"siblings": [{"rfilename": file} for file in self._files(name)], "tags": []}
        about |= {"downloads": 0, "likes": 0, "pipeline_tag": "sentence-similarity"}
        return 200, {"Content-Type": "application/json"}, json.dumps(about).encode()

    def _file(self, name, file, commit):
        path = self.root / name / file
        head = {"X-Repo-Commit": commit}
        if file == self.refused:
            return 403, head, b"not for you"
        if not path.is_file():
            return 404, head | {"X-Error-Code": "EntryNotFound"}, b""
        return 200, head | {"ETag": f'"{self._tag(path)}"'}, path.read_bytes()

    @staticmethod
    def _tag(path):
        return hashlib.sha1(path.read_bytes()).hexdigest()
