"""``bertfeat evaluate``: scores of prediction files, ours or other programs'."""

import click

from bertfeat_tools.cli.evaluate_lines import classify, diagnostic
from bertfeat_tools.cli.evaluate_probe import probe
from bertfeat_tools.cli.evaluate_retrieval import retrieval
from bertfeat_tools.cli.evaluate_span import span
from bertfeat_tools.cli.evaluate_sts import sts
from bertfeat_tools.cli.evaluate_tag import tag
from bertfeat_tools.cli.evaluate_texts import segmentation, triples
from bertfeat_tools.cli.options import CONTEXT


@click.group(context_settings=CONTEXT)
def evaluate() -> None:
    """Score predictions."""


for command in (classify, diagnostic, probe, retrieval, segmentation, span, sts, tag, triples):
    evaluate.add_command(command)
