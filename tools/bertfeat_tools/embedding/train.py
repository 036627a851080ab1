"""Train sentence vectors, and write a sentence-transformers folder."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bertfeat.checkpoints import ModelFolder, SentenceModules, model_hash
from bertfeat.errors import InputError
from bertfeat.tokenization import Encoding, Tokenizer
from bertfeat_tools.embedding.batches import batches_of
from bertfeat_tools.embedding.distillation import check_teacher, fit_projection, taught
from bertfeat_tools.embedding.rows import Columns
from bertfeat_tools.embedding.students import with_hidden_size, with_layers
from bertfeat_tools.scoring.lines import score_similarities
from bertfeat_tools.training.encoder import make_bert, open_folder, save_bert
from bertfeat_tools.training.settings import MODEL, RUN, Recipe, TrainSettings
from bertfeat_tools.training.texts import computed, tokenized

if TYPE_CHECKING:
    from bertfeat.api import Encoder
    from bertfeat.encoder.bert import Bert
    from bertfeat_tools.embedding.losses import Loss
    from bertfeat_tools.embedding.model import SentenceModel


@dataclass(frozen=True, kw_only=True)
class EmbedOptions(Recipe):
    """How sentence vectors are trained.

    Attributes:
        model: what training starts from.
        loss: a name out of ``bertfeat_tools.embedding.rows.COLUMNS``.
        pooling: of a folder that does not say: ``mean``, ``cls`` or ``max``.
        matryoshka: also train the first so many dimensions, each.
        max_score: the scores of the files are divided by it.
        max_seq_len: tokens read of each text.
        teacher: a model that gives the targets; None = the rows do.
        student_layers: of the model, those that are kept, 1 = the lowest; none = all.
        student_hidden_size: to which the model is narrowed; 0 = its own.
        project: learn a map from the vectors to the teacher's, which stays in the folder.
        chunk: texts encoded at once, with the gradients of the whole batch; 0 = all of it.
        evaluate_every: updates between two evaluations; 0 = each epoch.
    """

    model: str = "all-MiniLM-L6-v2"
    loss: str = "ranking"
    pooling: str = "mean"
    matryoshka: tuple[int, ...] = ()
    max_score: float = 1.0
    max_seq_len: int = 128
    teacher: str | None = None
    student_layers: tuple[int, ...] = ()
    student_hidden_size: int = 0
    project: bool = False
    chunk: int = 0
    epochs: int = 1
    batch_size: int = 64
    learning_rate: float = 2e-5
    optimizer: str = "adamw"
    evaluate_every: int = 0

    def settings(self, steps_per_epoch: int) -> TrainSettings:
        """Return what the loop is told."""
        return TrainSettings.of(
            self, steps_per_epoch, metric="spearman", rates=all_but_the_pooler,
            evaluate_every=self.evaluate_every or steps_per_epoch,
        )  # fmt: skip


def all_but_the_pooler(path: str) -> float:
    """Return the factor of a variable's rate: the pooler, which is kept, learns nothing here."""
    return 0.0 if "/pooler/" in path else 1.0


def train_embedding(
    options: EmbedOptions, train: Columns, dev: Columns | None, folder: Path, progress: Any = None
) -> dict[str, float]:
    """Train sentence vectors; an interrupted run in the same folder goes on.

    Args:
        options: how.
        train: rows of texts.
        dev: pairs with scores, by whose rank correlation the best weights are kept; or None.
        folder: gets ``training/`` and, at the end, ``model/``.
        progress: called after each update.
    """
    check_teacher(options.loss, options.teacher, project=options.project)
    options.start()
    from bertfeat_tools.embedding.model import SentenceModel
    from bertfeat_tools.training.loop import train as run

    source, tokenizer = open_folder(options.model)
    if options.student_layers:
        source = with_layers(source, options.student_layers)
    if options.student_hidden_size:
        source = with_hidden_size(source, options.student_hidden_size)
    facts = {"train": train.digest, "dev": dev.digest if dev else "",
             "model": model_hash(source.folder), "options": asdict(options)}  # fmt: skip
    if options.teacher:
        teacher = load_teacher(options)
        facts["teacher"] = teacher.model_hash
        size = None if options.project else source.config.hidden_size
        train = taught(train, options.loss, teacher, size)
    sentence = modules_of(source, options)
    bert = make_bert(source, heads=("pooler",) if "pooler/kernel" in source.tensors else (),
                     precision=options.precision)  # fmt: skip
    model = SentenceModel(
        bert, sentence.pooling[0], normalize=sentence.normalize,
        loss=loss_of(options, bert, len(train.classes), source.tensors, tokenizer.pad_id),
        columns=len(train.texts), chunk=options.chunk,
        outputs=train.scores.shape[-1] if options.project else 0,
    )  # fmt: skip
    limit = sentence.max_seq_length or options.max_seq_len
    encodings = [tokenized(column, tokenizer, limit) for column in train.texts]
    if options.project:
        fit_projection(model, encodings, train.scores, tokenizer.pad_id)
    batches = batches_of(options, train, encodings, tokenizer.pad_id)
    judge = Judge(dev, tokenizer, limit) if dev else None
    result = run(
        model, batches, options.settings(batches.steps_per_epoch), folder / RUN, evaluate=judge,
        progress=progress, facts=facts,
    )  # fmt: skip
    if not (folder / MODEL).exists():
        save_bert(
            bert, source, tokenizer, folder / MODEL, format="sentence-transformers",
            sentence=replace(sentence, dense=model.dense()), architectures=["BertModel"],
        )  # fmt: skip
    return {**result.scores, "steps": result.step, "train_s": round(result.train_s, 2)}


def load_teacher(options: EmbedOptions) -> "Encoder":
    """Load the teacher to compute in float32; it draws no random numbers."""
    from bertfeat import Encoder

    return Encoder.load(str(options.teacher), precision="float32")


def loss_of(
    options: EmbedOptions, bert: "Bert", classes: int, tensors: Mapping[str, np.ndarray],
    pad_id: int,
) -> "Loss":  # fmt: skip
    """Return the loss of an encoder's vectors; start Keras before.

    Args:
        options: name the loss.
        bert: the encoder.
        classes: their number, for ``softmax``.
        tensors: of the folder that the encoder came from, for ``denoising``.
        pad_id: of tokens that are none.

    Raises:
        InputError: the loss is of whole vectors, which are also to be cut.
    """
    from bertfeat_tools.embedding.denoising import Denoising
    from bertfeat_tools.embedding.losses import LOSSES, Softmax, matryoshka

    size = bert.config.hidden_size
    if options.matryoshka and options.loss in ("softmax", "mse", "denoising"):
        raise InputError(
            f"the loss {options.loss} is of whole vectors, got matryoshka {options.matryoshka}; "
            "choose another loss or no shorter vectors"
        )
    if options.loss == "softmax":
        return Softmax(classes, size)
    if options.loss == "denoising":
        return Denoising(bert, tensors, pad_id)
    loss = LOSSES[options.loss]
    return matryoshka(loss, (size, *options.matryoshka)) if options.matryoshka else loss


def modules_of(source: ModelFolder, options: EmbedOptions) -> SentenceModules:
    """Return what the trained folder says of its vectors: the source's own, else the options'.

    Raises:
        InputError: the source has layers behind its pooling, or several poolings.
    """
    own = source.sentence
    if own is None:
        limit = min(options.max_seq_len, source.config.max_position_embeddings)
        return SentenceModules(pooling=(options.pooling,), max_seq_length=limit)
    if own.dense or len(own.pooling) != 1 or own.pooling[0] not in ("mean", "cls", "max"):
        raise InputError(
            f"{source.folder} pools by {', '.join(own.pooling)} with {len(own.dense)} layer(s) "
            "behind; only one of mean, cls, max without layers is trained"
        )
    limit = min(options.max_seq_len, own.max_seq_length or source.config.max_position_embeddings)
    return replace(own, max_seq_length=limit)


class Judge:
    """Scores sentence vectors by the rank correlation of cosines with given scores."""

    def __init__(self, dev: Columns, tokenizer: Tokenizer, limit: int) -> None:
        self._scores, self._pad_id = dev.scores.astype(float), tokenizer.pad_id
        self._columns = [tokenized(column, tokenizer, limit) for column in dev.texts[:2]]

    def __call__(self, model: "SentenceModel") -> dict[str, float]:
        """Return Spearman's and Pearson's correlation."""
        left, right = (self._vectors(model, column) for column in self._columns)
        found = (left * right).sum(axis=1).astype(float)
        scores = score_similarities(self._scores, found)
        return {name: float(scores[name]) for name in ("spearman", "pearson")}

    def _vectors(self, model: "SentenceModel", texts: Sequence[Encoding]) -> np.ndarray:
        vectors = np.stack(computed(texts, self._pad_id, model.computing("vectors")))
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
