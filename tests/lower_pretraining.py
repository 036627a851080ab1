"""A program: lower a pre-training step of MODEL for TPU and CUDA under JAX, into the file OUT."""

import sys
from pathlib import Path


def main(folder, out):
    """Write the step's StableHLO, its platforms and the shapes of its inputs."""
    from bertfeat_tools.training.encoder import make_bert, open_folder, start

    start(0)
    from bertfeat_tools.pretraining.model import HEADS, Pretraining
    from bertfeat_tools.training.checkpoints import Checkpoints
    from bertfeat_tools.training.devices import lower
    from bertfeat_tools.training.loop import Run
    from bertfeat_tools.training.settings import TrainSettings
    from torch_pretraining import batch

    settings = TrainSettings(steps=2, precision="bfloat16", gradient_checkpointing=True)
    model = Pretraining(make_bert(open_folder(folder)[0], heads=HEADS, precision="bfloat16"))
    model.build()
    Run(model, batch, settings, Checkpoints(Path(out).parent)).compile()
    exported = lower(model, batch(0))
    sizes = sorted({size for aval in exported.in_avals for size in aval.shape}, key=str)
    text = f"{exported.platforms}\n{sizes}\n{exported.mlir_module()}"
    Path(out).write_text(text, "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
