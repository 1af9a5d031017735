"""Overrides that make `make train-convgru-1epoch` a training run of seconds."""

# Data, anchors and labels of the fixture micro_workspace.
MICRO = (
    "data.preset=micro",
    "model.image_height=64",
    "model.image_width=256",
    "model.num_anchors=16",
    "data.extra_drives=50",
)
SMALL = (
    *MICRO,
    "trainer.batch_size=2",
    "trainer.run_length=2",
    "trainer.max_epochs=3",
    "trainer.progress_bar=false",
    "tracking=off",
)
