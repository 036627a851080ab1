"""What the pages under docs/ name exists."""

import re
from functools import cache

import click
import pytest

from bertfeat_server.commands import group
from bertfeat_tools.cli.extract import extract_features
from bertfeat_tools.cli.group import bertfeat
from source_tree import ROOT

PAGES = sorted((ROOT / "docs").glob("*.md"))
OLD_FLAGS = re.findall(  # bert-serving-start 1.10.0 --help
    r"\w+",
    "model_dir tuned_model_dir ckpt_name config_name graph_tmp_dir max_seq_len cased_tokenization "
    "pooling_layer pooling_strategy mask_cls_sep no_special_token show_tokens_to_client "
    "no_position_embeddings port port_out http_port http_max_connect cors num_worker "
    "max_batch_size priority_batch_size cpu xla fp16 gpu_memory_fraction device_map "
    "prefetch_size fixed_embed_length verbose",
)


def commands(command):
    """A command and all those below it."""
    context = click.Context(command)
    names = command.list_commands(context) if isinstance(command, click.Group) else []
    below = [commands(command.get_command(context, name)) for name in names]
    return [command, *(one for some in below for one in some)]


@cache
def options():
    """Every option of every command."""
    return {
        name
        for command in [*commands(group), *commands(bertfeat), extract_features]
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_that_a_page_names_exist(page):
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text("utf-8")))
    assert named - options() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_that_a_page_links_to_exist(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_flag_of_the_old_server_has_its_row():
    text = (ROOT / "docs/migration.md").read_text("utf-8")
    assert [flag for flag in OLD_FLAGS if not re.search(rf"^\| .*`-{flag}`", text, re.M)] == []
